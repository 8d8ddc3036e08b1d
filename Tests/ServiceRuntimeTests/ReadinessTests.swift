import Testing

@testable import ServiceRuntime

@Suite("Readiness")
struct ReadinessTests {
  @Test("Red until it has started, green, and red again at shutdown")
  func phases() async {
    let readiness = ReadinessState()
    #expect(await !readiness.report().isReady)
    readiness.starting("the database is not there")
    #expect(await readiness.report().lines == [.init(name: "started", reason: "the database is not there")])
    readiness.started([])
    #expect(await readiness.report().isReady)
    readiness.shuttingDown()
    #expect(await readiness.report().lines.contains(.init(name: "lifecycle", reason: "the process is shutting down")))
  }

  @Test("Each check has its line, in order, and one that fails makes it red")
  func checks() async {
    let readiness = ReadinessState()
    readiness.started([ReadinessCheck(name: "a") { nil }, ReadinessCheck(name: "b") { "broken" }, ReadinessCheck(name: "c") { nil }])
    let report = await readiness.report()
    #expect(report.lines.map(\.name) == ["started", "a", "b", "c"])
    #expect(report.lines.map(\.reason) == [nil, nil, "broken", nil])
    #expect(!report.isReady)
  }

  @Test("A check that never answers is not waited for")
  func stuck() async {
    let readiness = ReadinessState(checkLimit: .milliseconds(20))
    let box = Box()
    readiness.started([
      ReadinessCheck(name: "stuck") {
        await box.opened()
        return nil
      }
    ])
    #expect(await readiness.report().lines.last?.reason?.contains("no answer") == true)
    box.open()
  }
}
