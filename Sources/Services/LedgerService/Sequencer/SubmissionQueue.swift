internal import DequeModule
internal import MeshProtocol
internal import Synchronization

/// The bounded queue before the sequencer. Counts postings, not requests.
final class SubmissionQueue: Sendable {
  private struct State {
    var waiting: Deque<Submission> = []
    var weight = 0
    var isClosed = false
    /// While set, nothing is taken in: why, for the caller.
    var barrier: RPCError?
    var consumer: CheckedContinuation<Void, Never>?
  }

  let limit: Int
  private let state = Mutex(State())

  /// - Parameter limit: postings and commands waiting, at most.
  init(limit: Int) { self.limit = limit }

  /// Postings and commands that wait.
  var weight: Int { state.withLock(\.weight) }

  /// Takes in all of them or none.
  /// - Throws: UNAVAILABLE, not executed, if the queue is full or closed, or the ledger cannot write now.
  func enqueue(_ submissions: [Submission]) throws(RPCError) {
    let weight = submissions.reduce(0) { $0 + $1.request.weight }
    let refusal: RPCError? = state.withLock { state in
      if state.isClosed {
        return RPCError(.unavailable, "the ledger is shutting down; try another instance or again after its restart", executed: .no)
      }
      if let barrier = state.barrier { return barrier }
      guard state.weight + weight <= limit else {
        return RPCError(
          .unavailable, "\(state.weight) postings are waiting, and the ledger queues \(limit) at most; try again shortly",
          executed: .no, retryAfter: .milliseconds(100))
      }
      state.waiting.append(contentsOf: submissions)
      state.weight += weight
      return nil
    }
    if let refusal { throw refusal }
    wake()
  }

  /// Waits until there is something, and takes as much of it as fits into a batch, in order. Empty: closed, and nothing is left.
  func take(upTo limit: Int) async -> [Submission] {
    while true {
      let (taken, isOver) = state.withLock { state in
        var taken: [Submission] = []
        var room = limit
        // A request is never split; one that is larger than any batch would otherwise wait for ever.
        while let next = state.waiting.first, next.request.weight <= room || taken.isEmpty {
          taken.append(next)
          room -= next.request.weight
          state.weight -= next.request.weight
          state.waiting.removeFirst()
        }
        return (taken, state.isClosed)
      }
      if !taken.isEmpty || isOver { return taken }
      await withCheckedContinuation { continuation in
        let isReady = state.withLock { state in
          guard state.waiting.isEmpty, !state.isClosed else { return true }
          state.consumer = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  /// From now on callers are refused with this error, and so are those that wait; nil takes in again.
  func setBarrier(_ error: RPCError?) {
    let refused = state.withLock { state in
      state.barrier = error
      guard error != nil else { return Deque<Submission>() }
      defer {
        state.waiting = []
        state.weight = 0
      }
      return state.waiting
    }
    if let error { for submission in refused { submission.answer(.failure(error)) } }
  }

  /// Takes nothing in any more; what waits is still handed out.
  func close() {
    state.withLock { $0.isClosed = true }
    wake()
  }

  var isClosed: Bool { state.withLock(\.isClosed) }

  private func wake() {
    let consumer = state.withLock { state in
      defer { state.consumer = nil }
      return state.consumer
    }
    consumer?.resume()
  }
}
