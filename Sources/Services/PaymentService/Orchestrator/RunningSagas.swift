internal import Money
internal import Synchronization

/// What this process works on: sagas being claimed and sagas being run. Bounded; and the recovery scanner leaves these alone.
final class RunningSagas: Sendable {
  let limit: Int
  private let holds = Mutex<[PaymentID: Int]>([:])

  init(limit: Int) { self.limit = limit }

  /// Counts one more piece of work on a saga. False if there are too many sagas; nothing was counted then.
  func enter(_ id: PaymentID) -> Bool {
    holds.withLock { holds in
      guard holds[id] != nil || holds.count < limit else { return false }
      holds[id, default: 0] += 1
      return true
    }
  }

  /// Ends what `enter` began.
  func leave(_ id: PaymentID) {
    holds.withLock { holds in
      guard let count = holds[id] else { return }
      holds[id] = count > 1 ? count - 1 : nil
    }
  }

  func contains(_ id: PaymentID) -> Bool { holds.withLock { $0[id] != nil } }
  var ids: [PaymentID] { holds.withLock { Array($0.keys) } }
  var count: Int { holds.withLock(\.count) }
  var free: Int { limit - count }
}
