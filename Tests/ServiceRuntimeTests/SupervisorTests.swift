import Logging
import MeshProtocol
import Postgres
import ServiceLifecycle
import Synchronization
import Telemetry
import Testing
import Tracing

@testable import ServiceRuntime

@Suite("Supervisor")
struct SupervisorTests {
  let output = MemoryLogOutput()
  var logger: Logger { Logger(label: "test") { JSONLogHandler(label: $0, service: "test", output: output) } }

  @Test("Work goes on after its caller has gone, without its deadline but in its trace", arguments: 0..<10)
  func outlivesCaller(round: Int) async throws {
    let supervisor = Supervisor(logger: logger)
    let seen = Locked<(trace: String?, call: Bool, deadline: Bool, cancelled: Bool)?>(nil)
    let box = Box()
    let caller = Task {
      let trace = ServiceContext.continuing(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
      let call = CallContext(peer: SPIFFEID(trustDomain: "d", path: "p"), method: "m", deadline: .now)
      try await ServiceContext.$current.withValue(trace) {
        try await CallContext.$current.withValue(call) {
          try await Deadline.$current.withValue(.now) {
            try supervisor.run("test") {
              await box.opened()
              seen.withLock {
                $0 = (TraceIdentity.current?.traceID, CallContext.current != nil, Deadline.current != nil, Task.isCancelled)
              }
            }
            try await Task.sleep(for: .seconds(3600))
          }
        }
      }
    }
    while supervisor.count == 0 { await Task.yield() }
    caller.cancel()
    _ = await caller.result
    #expect(supervisor.count == 1)
    box.open()
    await supervisor.waitUntilIdle()
    let result = try #require(seen.withLock { $0 })
    #expect(result == ("4bf92f3577b34da6a3ce929d0e0e4736", false, false, false))
  }

  @Test("Above the limit work is refused; when there is room again it is taken")
  func limit() async throws {
    let supervisor = Supervisor(limit: 3, logger: logger)
    let box = Box()
    for _ in 0..<3 { try supervisor.run("test") { await box.opened() } }
    #expect(throws: SupervisorError.full(limit: 3)) { try supervisor.run("test") {} }
    box.open()
    await supervisor.waitUntilIdle()
    try supervisor.run("test") {}
    await supervisor.waitUntilIdle()
    #expect(output.lines.contains { $0.contains("supervisor.refused") })
  }

  @Test("What work throws is logged, and only that")
  func errors() async throws {
    let supervisor = Supervisor(logger: logger)
    try supervisor.run("failing") { throw SupervisorError.shuttingDown }
    try supervisor.run("fine") {}
    await supervisor.waitUntilIdle()
    let failures = output.lines.filter { $0.contains("supervisor.task_failed") }
    #expect(failures.count == 1)
    #expect(failures.first?.contains(#""task":"failing""#) == true)
  }

  @Test("A deadline is bound for the work's statements and cancels it when it passes")
  func deadline() async throws {
    let supervisor = Supervisor(logger: logger)
    let deadline = ContinuousClock.now + .milliseconds(50)
    let seen = Locked<ContinuousClock.Instant?>(nil)
    try supervisor.run("slow", deadline: deadline) {
      seen.withLock { $0 = Deadline.current }
      try await Task.sleep(for: .seconds(3600))
    }
    await supervisor.waitUntilIdle()
    #expect(seen.withLock { $0 } == deadline)
    #expect(output.lines.contains { $0.contains("supervisor.task_timed_out") })
    #expect(!output.lines.contains { $0.contains("task_failed") })
  }

  @Test("Shutdown waits for running work and takes no new", arguments: 0..<5)
  func drain(round: Int) async throws {
    let supervisor = Supervisor(drainLimit: .seconds(30), logger: logger)
    let done = Locked(0)
    let box = Box()
    for _ in 0..<5 {
      try supervisor.run("work") {
        await box.opened()
        done.withLock { $0 += 1 }
      }
    }
    try await inGroup(supervisor) { group in
      await group.triggerGracefulShutdown()
      while !output.lines.contains(where: { $0.contains("supervisor.draining") }) { await Task.yield() }
      #expect(throws: SupervisorError.shuttingDown) { try supervisor.run("late") {} }
      box.open()
    }
    #expect(done.withLock { $0 } == 5)
    #expect(!output.lines.contains { $0.contains("supervisor.cancelled") })
  }

  @Test("Work that does not end within the drain's limit is cancelled, and named")
  func drainLimit() async throws {
    let supervisor = Supervisor(drainLimit: .milliseconds(50), logger: logger)
    try supervisor.run("stubborn") { try await Task.sleep(for: .seconds(3600)) }
    try await inGroup(supervisor) { await $0.triggerGracefulShutdown() }
    #expect(supervisor.count == 0)
    #expect(output.lines.contains { $0.contains("supervisor.cancelled") && $0.contains("stubborn") })
  }

  @Test("Hundreds of tasks from many callers all run once", arguments: 0..<3)
  func many(round: Int) async throws {
    let supervisor = Supervisor(limit: 5000, logger: logger)
    let done = Locked(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<200 {
            try supervisor.run("work") {
              await Task.yield()
              done.withLock { $0 += 1 }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    await supervisor.waitUntilIdle()
    #expect(done.withLock { $0 } == 1600)
    #expect(supervisor.count == 0)
  }

  func inGroup(_ service: any Service, _ body: @escaping @Sendable (ServiceGroup) async throws -> Void) async throws {
    let group = ServiceGroup(services: [service], logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      try await body(group)
      try await tasks.waitForAll()
    }
  }
}

/// Keeps its visitors until it is opened.
final class Box: Sendable {
  private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

  func opened() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiters.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}

/// A value that closures of several tasks share.
final class Locked<Value: Sendable>: Sendable {
  private let value: Mutex<Value>
  init(_ value: Value) { self.value = Mutex(value) }
  func withLock<R: Sendable>(_ body: (inout Value) -> R) -> R { value.withLock { body(&$0) } }
}
