internal import Synchronization
internal import Telemetry

/// Spans on their way out: a bounded queue that never makes the measured code wait.
final class SpanQueue: Sendable {
  private struct State {
    var spans: [FinishedSpan] = []
    /// Index of the oldest span in `spans`; what stands before it has been sent.
    var head = 0
    var isClosed = false
    var waiter: CheckedContinuation<Void, Never>?
    var count: Int { spans.count - head }
  }

  private let limit: Int
  private let batchLimit: Int
  private let state = Mutex(State())

  init(limit: Int, batchLimit: Int) {
    self.limit = limit
    self.batchLimit = batchLimit
  }

  var count: Int { state.withLock { $0.count } }

  /// False: it is full (or closed) and the span is dropped.
  func append(_ span: FinishedSpan) -> Bool {
    let (taken, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
      guard !state.isClosed, state.count < limit else { return (false, nil) }
      state.spans.append(span)
      guard state.count >= batchLimit else { return (true, nil) }
      defer { state.waiter = nil }
      return (true, state.waiter)
    }
    waiter?.resume()
    return taken
  }

  /// The oldest spans, which stay in the queue until `removeFirst`: a request that is cut off loses none.
  func batch() -> [FinishedSpan] { state.withLock { Array($0.spans[$0.head...].prefix(batchLimit)) } }

  func removeFirst(_ count: Int) {
    state.withLock { state in
      state.head = min(state.head + count, state.spans.count)
      // Moved down only when half is empty, so that it costs no more than the appending did.
      if state.head * 2 >= state.spans.count {
        state.spans.removeFirst(state.head)
        state.head = 0
      }
    }
  }

  /// Takes no more spans; answers how many are left and forgets them.
  func close() -> Int {
    state.withLock { state in
      state.isClosed = true
      defer {
        state.spans = []
        state.head = 0
      }
      return state.count
    }
  }

  /// Returns when a whole batch waits, or when the task is cancelled. One waiter at a time.
  func waitForBatch() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let ready = state.withLock { state in
          let ready = state.count >= batchLimit || Task.isCancelled
          if !ready { state.waiter = continuation }
          return ready
        }
        if ready { continuation.resume() }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        defer { state.waiter = nil }
        return state.waiter
      }
      waiter?.resume()
    }
  }
}
