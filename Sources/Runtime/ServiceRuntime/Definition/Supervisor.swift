public import Logging
internal import MeshProtocol
internal import Metrics
internal import Postgres
public import ServiceLifecycle
internal import Synchronization
internal import Tracing

/// Runs work that outlives the call that asked for it: a caller that hangs up only stops waiting.
///
/// Bounded: above the limit a task is refused, so that the caller can be told. A task keeps the trace of its caller but not its
/// deadline; it has its own. On shutdown no new tasks are taken, those that run get `drainLimit` to finish, and what is left is
/// cancelled; that work must be durable anyway, because the next crash won't ask.
public final class Supervisor: Service {
  private struct State {
    var tasks: [UInt64: (name: String, task: Task<Void, Never>?)] = [:]
    var next: UInt64 = 0
    var isDraining = false
    var isCancelled = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  public let limit: Int
  private let drainLimit: Duration
  private let logger: Logger
  private let state = Mutex(State())

  /// - Parameters:
  ///   - limit: tasks at the same time, at most.
  ///   - drainLimit: how long running tasks may go on when the process shuts down.
  public init(limit: Int = 1024, drainLimit: Duration = .seconds(4), logger: Logger) {
    self.limit = limit
    self.drainLimit = drainLimit
    self.logger = logger
  }

  /// Tasks that run now.
  public var count: Int { state.withLock { $0.tasks.count } }

  /// Starts `work` and returns at once.
  /// - Parameters:
  ///   - name: snake_case, one per kind of work; a label of the metrics.
  ///   - deadline: after this the task is cancelled; calls and statements made in it end then too. Nil: it bounds itself.
  ///   - work: what it throws is logged as `supervisor.task_failed`.
  /// - Throws: `SupervisorError`; the work was then not started.
  public func run(
    _ name: String, deadline: ContinuousClock.Instant? = nil, _ work: @escaping @Sendable () async throws -> Void
  ) throws(SupervisorError) {
    let id = try reserve(name)
    let trace = ServiceContext.current
    let task = Task.detached {
      await ServiceContext.$current.withValue(trace) {
        await CallContext.$current.withValue(nil) {
          await Deadline.$current.withValue(deadline) { await self.perform(name, deadline, work) }
        }
      }
      self.finished(id)
    }
    // It may have ended already, and then there is nothing to keep; or all were cancelled before this one was on the list.
    let isTooLate = state.withLock { state in
      if state.tasks[id] != nil { state.tasks[id]?.task = task }
      return state.isCancelled
    }
    if isTooLate { task.cancel() }
  }

  /// Waits until no task runs.
  public func waitUntilIdle() async {
    await withCheckedContinuation { continuation in
      let isIdle = state.withLock { state in
        if !state.tasks.isEmpty { state.waiters.append(continuation) }
        return state.tasks.isEmpty
      }
      if isIdle { continuation.resume() }
    }
  }

  /// Ends when the process shuts down and the tasks have ended, at the latest `drainLimit` later.
  public func run() async throws {
    // Cancellation means the same here, only without a chance to finish.
    try? await gracefulShutdown()
    let left = state.withLock { state in
      state.isDraining = true
      return state.tasks.count
    }
    guard left > 0 else { return }
    logger.info("supervisor.draining", metadata: ["tasks": .stringConvertible(left)])
    let limit = Task.isCancelled ? Duration.zero : drainLimit
    let alarm = Task.detached {
      try? await Task.sleep(for: limit)
      if !Task.isCancelled { self.cancelAll() }
    }
    await waitUntilIdle()
    alarm.cancel()
  }

  private func reserve(_ name: String) throws(SupervisorError) -> UInt64 {
    let result: Result<UInt64, SupervisorError> = state.withLock { state in
      if state.isDraining { return .failure(.shuttingDown) }
      if state.tasks.count >= limit { return .failure(.full(limit: limit)) }
      state.next += 1
      state.tasks[state.next] = (name, nil)
      return .success(state.next)
    }
    if case .failure(let refusal) = result {
      Counter(label: "supervisor_refused", dimensions: [("task", name)]).increment()
      logger.warning("supervisor.refused", metadata: ["task": .string(name), "detail": .string(refusal.description)])
    }
    Gauge(label: "supervisor_tasks").record(count)
    return try result.get()
  }

  private func perform(
    _ name: String, _ deadline: ContinuousClock.Instant?, _ work: @escaping @Sendable () async throws -> Void
  ) async {
    let started = ContinuousClock.now
    var outcome = "ok"
    do {
      if let deadline { try await withDeadline(deadline, work) } else { try await work() }
    } catch let error as DeadlinePassed {
      outcome = "deadline"
      logger.warning("supervisor.task_timed_out", metadata: ["task": .string(name), "detail": .string("\(error)")])
    } catch {
      outcome = "failed"
      logger.error("supervisor.task_failed", error: error, metadata: ["task": .string(name)])
    }
    Metrics.Timer(label: "supervisor_task_duration", dimensions: [("task", name), ("outcome", outcome)])
      .recordNanoseconds((ContinuousClock.now - started).nanoseconds)
  }

  private func finished(_ id: UInt64) {
    let waiters = state.withLock { state in
      state.tasks[id] = nil
      guard state.tasks.isEmpty else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
    Gauge(label: "supervisor_tasks").record(count)
  }

  private func cancelAll() {
    let tasks = state.withLock { state in
      state.isCancelled = true
      return state.tasks.values.map { ($0.name, $0.task) }
    }
    for (name, task) in tasks {
      logger.warning("supervisor.cancelled", metadata: ["task": .string(name), "detail": "it did not finish within the time for shutdown"])
      task?.cancel()
    }
  }
}

/// A task was cancelled because its time was over.
private struct DeadlinePassed: Error, CustomStringConvertible {
  var description: String { "its deadline passed, so it was cancelled" }
}

/// Cancels the work when the deadline passes; waits for it to end in any case.
private func withDeadline(
  _ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> Void
) async throws {
  let passed = try await withThrowingTaskGroup(of: Bool.self) { group in
    group.addTask {
      try await work()
      return false
    }
    group.addTask {
      try await Task.sleep(until: deadline, clock: .continuous)
      return true
    }
    defer { group.cancelAll() }
    let first = try await group.next() ?? false
    guard first else { return false }
    group.cancelAll()
    // What the work throws now is only the echo of our cancellation.
    _ = try? await group.next()
    return true
  }
  if passed { throw DeadlinePassed() }
}

extension Duration {
  /// Saturates beyond 292 years.
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? (seconds < 0 ? .min : .max) : product + attoseconds / 1_000_000_000
  }
}
