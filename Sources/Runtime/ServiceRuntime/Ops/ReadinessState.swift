internal import Synchronization

/// Whether this process should be sent calls, and if not, why.
final class ReadinessState: Sendable {
  private struct State {
    /// Nil: started.
    var startingReason: String? = "it has not started yet"
    var isShuttingDown = false
    var checks: [ReadinessCheck] = []
  }

  struct Report: Sendable, Hashable {
    struct Line: Sendable, Hashable {
      var name: String
      /// Nil: ready.
      var reason: String?
    }

    var lines: [Line]
    var isReady: Bool { lines.allSatisfy { $0.reason == nil } }
  }

  private let state = Mutex(State())
  private let checkLimit: Duration

  init(checkLimit: Duration = .seconds(2)) { self.checkLimit = checkLimit }

  /// Still on the way up, and what it waits for.
  func starting(_ reason: String) { state.withLock { $0.startingReason = reason } }

  func started(_ checks: [ReadinessCheck]) {
    state.withLock { state in
      state.startingReason = nil
      state.checks = checks
    }
  }

  /// Red from here on, while what is under way is still being answered.
  func shuttingDown() { state.withLock { $0.isShuttingDown = true } }

  /// Asks all checks at once.
  func report() async -> Report {
    let (reason, isShuttingDown, checks) = state.withLock { ($0.startingReason, $0.isShuttingDown, $0.checks) }
    var lines = [Report.Line(name: "started", reason: reason)]
    if isShuttingDown { lines.append(.init(name: "lifecycle", reason: "the process is shutting down")) }
    let limit = checkLimit
    let results = await withTaskGroup(of: (Int, String?).self) { group in
      for (index, check) in checks.enumerated() {
        group.addTask { (index, await Self.limited(limit, check)) }
      }
      return await group.reduce(into: [Int: String?]()) { $0[$1.0] = .some($1.1) }
    }
    for (index, check) in checks.enumerated() { lines.append(.init(name: check.name, reason: results[index] ?? nil)) }
    return Report(lines: lines)
  }

  /// The check's answer, or that it gave none in time. A check that never ends is left behind rather than waited for.
  private static func limited(_ limit: Duration, _ check: ReadinessCheck) async -> String? {
    let (answers, continuation) = AsyncStream<String?>.makeStream(bufferingPolicy: .bufferingOldest(1))
    let asking = Task { continuation.yield(await check.check()) }
    let alarm = Task {
      try? await Task.sleep(for: limit)
      continuation.yield("no answer within \(limit)")
    }
    defer {
      asking.cancel()
      alarm.cancel()
    }
    for await answer in answers { return answer }
    return "the check was cancelled"
  }
}
