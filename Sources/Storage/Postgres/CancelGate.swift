internal import CPostgres
internal import Glibc
internal import Synchronization

/// Lets any thread cancel the statement that a connection is busy with, and only that one: never a later one, never a COMMIT.
///
/// A cancel request is a connection of its own (PQcancel), made by a short-lived thread. The connection waits for its end
/// before it sends anything else, so that a late request cannot hit the next statement. At most one is under way.
final class CancelGate: Sendable {
  private struct State {
    var handle: Handle?
    /// The statement under way that may be cancelled.
    var running: UInt64?
    var request: Request?
  }

  /// `@unchecked Sendable`: PQcancel "is thread-safe" and only reads the PGcancel, which lives until `deinit`.
  private final class Handle: @unchecked Sendable {
    let cancel: OpaquePointer
    init(_ cancel: OpaquePointer) { self.cancel = cancel }
    deinit { PQfreeCancel(cancel) }
  }

  /// One cancel request under way.
  ///
  /// `@unchecked Sendable`: `done` is a semaphore, made for several threads, and lives until `deinit`.
  private final class Request: @unchecked Sendable {
    let handle: Handle
    let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init(_ handle: Handle) {
      self.handle = handle
      sem_init(done, 0, 0)
    }

    deinit {
      sem_destroy(done)
      done.deallocate()
    }

    func send() {
      // A failed request leaves the statement to its statement_timeout; there is nobody to tell but the waiting caller.
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { reason in
        _ = PQcancel(handle.cancel, reason.baseAddress, 256)
      }
      sem_post(done)
    }

    /// False if the request is still under way after the time.
    func wait(seconds: Int) -> Bool {
      var limit = timespec()
      clock_gettime(CLOCK_REALTIME, &limit)
      limit.tv_sec += seconds
      while sem_timedwait(done, &limit) != 0 {
        if errno != EINTR { return false }
      }
      return true
    }
  }

  private let state = Mutex(State())

  /// `cancel`: what PQgetCancel returned; owned from here on.
  func open(adopting cancel: OpaquePointer?) {
    let handle = cancel.map(Handle.init)
    state.withLock { $0.handle = handle }
  }

  func close() { state.withLock { $0.handle = nil } }

  /// From now until `end` this statement may be cancelled.
  func begin(_ ticket: UInt64) { state.withLock { $0.running = ticket } }

  enum Ending { case notCancelled, cancelSent, cancelStuck }

  /// After this returns no cancel request is under way, unless the answer is `cancelStuck`: then the connection is unusable.
  func end() -> Ending {
    let request = state.withLock { state in
      defer { state.request = nil }
      state.running = nil
      return state.request
    }
    guard let request else { return .notCancelled }
    return request.wait(seconds: 5) ? .cancelSent : .cancelStuck
  }

  /// Asks the server to stop the statement, if it is this one that runs. Doesn't wait.
  func cancel(_ ticket: UInt64) {
    state.withLock { state in
      guard state.running == ticket, state.request == nil, let handle = state.handle else { return }
      let request = Request(handle)
      let retained = Unmanaged.passRetained(request)
      var thread = pthread_t()
      let failure = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<Request>.fromOpaque(argument).takeRetainedValue().send()
          return nil
        }, retained.toOpaque())
      guard failure == 0 else { return retained.release() }
      pthread_detach(thread)
      state.request = request
    }
  }
}
