internal import Synchronization

/// A door that tests hold shut until something has happened.
public final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
    var last = 0
  }

  private let state = Mutex(State())

  public init() {}

  public func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Returns when the gate is open.
  /// - Throws: `CancellationError` if the task is cancelled before.
  public func wait() async throws {
    let id = state.withLock { state in
      state.last += 1
      return state.last
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let outcome = state.withLock { state -> Result<Void, any Error>? in
          if state.isOpen { return .success(()) }
          if Task.isCancelled { return .failure(CancellationError()) }
          state.waiters[id] = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
    }
  }
}

/// Something that did not happen in time.
public struct TimedOut: Error, CustomStringConvertible {
  public let what: String
  public var description: String { "timed out: \(what)" }
}

/// Waits until the condition holds. The limit is for runs in which it never will; no test is about how long it takes.
public func eventually(_ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
  let end = ContinuousClock.now + limit
  while try await !condition() {
    guard .now < end else { throw TimedOut(what: what) }
    try await Task.sleep(for: .milliseconds(5))
  }
}

/// A number that several tasks change.
public final class Counter: Sendable {
  private let state = Mutex(0)

  public init() {}

  public var value: Int { state.withLock { $0 } }

  @discardableResult
  public func add(_ difference: Int = 1) -> Int {
    state.withLock { value in
      value += difference
      return value
    }
  }
}

/// Things that happened, in order.
public final class Record<Element: Sendable>: Sendable {
  private let state = Mutex<[Element]>([])

  public init() {}

  public var all: [Element] { state.withLock { $0 } }
  public func append(_ element: Element) { state.withLock { $0.append(element) } }
}
