internal import Synchronization

/// Bounds how many handlers run at once over all connections, and lets a shutdown wait for them.
final class HandlerSlots: Sendable {
  private struct State {
    var taken = 0
    var waiters: [Int: CheckedContinuation<Bool, Never>] = [:]
    var lastWaiter = 0
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  var taken: Int { state.withLock { $0.taken } }

  /// False: all are taken.
  func take() -> Bool {
    state.withLock { state in
      guard state.taken < limit else { return false }
      state.taken += 1
      return true
    }
  }

  func free() {
    let waiters = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
      state.taken -= 1
      guard state.taken == 0 else { return [] }
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.resume(returning: true) }
  }

  /// Waits until no handler runs.
  /// - Returns: false if some still ran at the end of `limit`, whatever they wait for.
  func allFree(within limit: Duration) async -> Bool {
    await withCheckedContinuation { continuation in
      let waiter = state.withLock { state -> Int? in
        guard state.taken > 0 else { return nil }
        state.lastWaiter += 1
        state.waiters[state.lastWaiter] = continuation
        return state.lastWaiter
      }
      guard let waiter else { return continuation.resume(returning: true) }
      Task {
        try? await Task.sleep(for: limit)
        state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume(returning: false)
      }
    }
  }
}
