import Testing

@testable import ComposeRunner

/// The decisions alone: no process is started here, and no clock read.
@Suite struct SupervisorStateMachineTests {
  private func plan(
    _ name: String, after dependencies: [Dependency] = [], steps: [String] = [], provisioning: [String] = [], probed: Bool = false,
    restart: RestartPolicy = .no
  ) -> ServicePlan {
    let process = ProcessPlan(executable: "/bin/true")
    return ServicePlan(
      name: name, dependencies: dependencies, preparation: steps.map { StepPlan(name: $0, process: process) }, process: process,
      provisioning: provisioning.map { StepPlan(name: $0, process: process) },
      probe: probed
        ? ProbePlan(method: .command(process), interval: .seconds(2), timeout: .seconds(1), startPeriod: .seconds(5), retries: 3) : nil,
      restart: restart, stopSignals: [2, 3])
  }

  private func id(_ pid: Int32) -> ProcessIdentity { ProcessIdentity(pid: pid, startTicks: 1) }

  /// Effects without the log lines.
  private func advance(_ machine: inout SupervisorStateMachine, _ seconds: Double) -> [SupervisorStateMachine.Effect] {
    machine.advance(to: .seconds(seconds)).filter { if case .report = $0 { false } else { true } }
  }

  @Test("a service that waits for another's health starts when that is healthy, not before")
  func waitsForHealth() {
    var machine = SupervisorStateMachine(services: [
      plan("db", probed: true), plan("app", after: [Dependency(service: "db", condition: .healthy)]),
    ])
    machine.startRequested([0, 1])
    #expect(advance(&machine, 0) == [.startProcess(service: 0)])
    machine.processStarted(0, id(1), at: .zero)
    #expect(advance(&machine, 0) == [.startProbe(service: 0)])
    machine.probeEnded(0, failure: "not yet", at: .seconds(0.1))
    #expect(advance(&machine, 0.1) == [])
    #expect(advance(&machine, 0.3) == [.startProbe(service: 0)])
    machine.probeEnded(0, failure: nil, at: .seconds(0.3))
    #expect(advance(&machine, 0.3) == [.startProcess(service: 1)])
    #expect(machine.services[0].isUp)
  }

  @Test("steps run in order before the first start, and not again after a crash")
  func preparesOnce() {
    var machine = SupervisorStateMachine(services: [plan("app", steps: ["one", "two"], restart: .always)])
    machine.startRequested([0])
    for pid in Int32(1)...2 {
      guard case .startStep(0, let step)? = advance(&machine, 0).first else {
        Issue.record("no step")
        return
      }
      #expect(step.name == (pid == 1 ? "one" : "two"))
      machine.stepStarted(0, id(pid), at: .zero)
      #expect(advance(&machine, 0) == [])
      machine.stepEnded(0, .exited(0), output: "", at: .zero)
    }
    #expect(advance(&machine, 0) == [.startProcess(service: 0)])
    machine.processStarted(0, id(3), at: .zero)
    machine.processEnded(0, .killed(signal: 9), at: .seconds(1))
    #expect(advance(&machine, 1) == [])
    #expect(advance(&machine, 1.1) == [.startProcess(service: 0)])
  }

  @Test("a step that fails fails its service with the step's own words, and nothing that depends on it starts")
  func failsWithStep() {
    var machine = SupervisorStateMachine(services: [
      plan("app", steps: ["migrate"]), plan("next", after: [Dependency(service: "app", condition: .started)]),
    ])
    machine.startRequested([0, 1])
    _ = advance(&machine, 0)
    machine.stepStarted(0, id(1), at: .zero)
    machine.stepEnded(0, .exited(4), output: "checksum differs", at: .seconds(1))
    #expect(advance(&machine, 1) == [])
    #expect(machine.services[0].phase == .failed)
    #expect(machine.services[0].detail?.contains("checksum differs") == true)
    #expect(machine.services[1].phase == .created)
  }

  @Test("a step that takes too long is killed, and its service has failed")
  func timesOutStep() {
    var machine = SupervisorStateMachine(services: [plan("app", steps: ["migrate"])])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.stepStarted(0, id(1), at: .zero)
    #expect(machine.nextDeadline() == .seconds(120))
    #expect(advance(&machine, 120) == [.signal(service: 0, 9, .step)])
    #expect(machine.nextDeadline() == nil)
    machine.stepEnded(0, .killed(signal: 9), output: "", at: .seconds(120))
    #expect(machine.services[0].detail?.contains("too long") == true)
  }

  @Test("a service is healthy only after its provisioning, which happens once")
  func provisions() {
    var machine = SupervisorStateMachine(services: [plan("db", provisioning: ["roles"], probed: true, restart: .always)])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    _ = advance(&machine, 0)
    machine.probeEnded(0, failure: nil, at: .zero)
    #expect(machine.services[0].isUp == false)
    guard case .startStep? = advance(&machine, 0).first else {
      Issue.record("no provisioning")
      return
    }
    machine.stepStarted(0, id(2), at: .zero)
    machine.stepEnded(0, .exited(0), output: "", at: .seconds(1))
    #expect(advance(&machine, 1).contains { if case .startStep = $0 { true } else { false } } == false)
    #expect(machine.services[0].isUp)

    machine.processEnded(0, .killed(signal: 9), at: .seconds(20))
    #expect(advance(&machine, 21) == [.startProcess(service: 0)])
    machine.processStarted(0, id(3), at: .seconds(21))
    _ = advance(&machine, 21)
    machine.probeEnded(0, failure: nil, at: .seconds(21))
    #expect(machine.services[0].isUp)
  }

  @Test("failures within the start period do not count; after it, `retries` in a row make it unhealthy, one success healthy again")
  func judgesHealth() {
    var machine = SupervisorStateMachine(services: [plan("app", probed: true)])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    func probe(_ failure: String?, _ at: Double) -> ServiceRecord.Health {
      _ = advance(&machine, at)
      machine.probeEnded(0, failure: failure, at: .seconds(at))
      return machine.services[0].health
    }
    for second in 0..<5 { #expect(probe("no", Double(second)) == .starting) }
    #expect(probe("no", 5) == .starting)
    #expect(probe("no", 6) == .starting)
    #expect(probe("no", 7) == .unhealthy)
    #expect(probe(nil, 8) == .healthy)
    #expect(probe("no", 12) == .healthy)
    #expect(probe(nil, 16) == .healthy)
    #expect(probe("no", 20) == .healthy)
    #expect(probe("no", 24) == .healthy)
    #expect(probe("no", 28) == .unhealthy)
  }

  @Test(
    "a policy restarts what it says",
    arguments: [
      (RestartPolicy.no, ComposeRunner.ExitStatus.exited(1), false), (.no, .exited(0), false), (.always, .exited(0), true),
      (.always, .killed(signal: 9), true),
      (.unlessStopped, .exited(0), true), (.onFailure(limit: nil), .exited(0), false), (.onFailure(limit: nil), .exited(1), true),
      (.onFailure(limit: nil), .killed(signal: 9), true),
    ])
  func restarts(policy: RestartPolicy, status: ComposeRunner.ExitStatus, again: Bool) {
    var machine = SupervisorStateMachine(services: [plan("app", restart: policy)])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    machine.processEnded(0, status, at: .seconds(1))
    #expect(machine.services[0].phase == (again ? .restarting : .exited))
  }

  @Test("the wait before a restart doubles up to ten seconds, and begins anew after ten seconds of running")
  func backsOff() {
    var machine = SupervisorStateMachine(services: [plan("app", restart: .always)])
    machine.startRequested([0])
    var now = 0.0
    var waits: [Duration] = []
    _ = advance(&machine, now)
    machine.processStarted(0, id(1), at: .zero)
    for round in 0..<10 {
      now += round == 9 ? 10 : 0.5
      machine.processEnded(0, .exited(1), at: .seconds(now))
      let due = machine.nextDeadline() ?? .zero
      waits.append(due - .seconds(now))
      now += 20
      #expect(advance(&machine, now) == [.startProcess(service: 0)])
      machine.processStarted(0, id(1), at: .seconds(now))
    }
    #expect(waits.map { Int(($0 / .milliseconds(1)).rounded()) } == [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 100])
    #expect(machine.services[0].restarts == 10)
  }

  @Test("on-failure with a limit gives up after so many")
  func limitsRestarts() {
    var machine = SupervisorStateMachine(services: [plan("app", restart: .onFailure(limit: 2))])
    machine.startRequested([0])
    var now = 0.0
    var starts = 0
    while advance(&machine, now) == [.startProcess(service: 0)] {
      starts += 1
      machine.processStarted(0, id(1), at: .seconds(now))
      machine.processEnded(0, .exited(1), at: .seconds(now + 0.1))
      now += 15
    }
    #expect(starts == 3)
    #expect(machine.services[0].phase == .exited)
  }

  @Test("a service that the user kills stays down until it is started; one that somebody else kills is restarted")
  func killIsAWish() {
    var machine = SupervisorStateMachine(services: [plan("app", restart: .always)])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    var isSent = machine.killRequested(0, Signal(number: 9))
    #expect(isSent)
    #expect(advance(&machine, 1) == [.signal(service: 0, 9, .process)])
    machine.processEnded(0, .killed(signal: 9), at: .seconds(1))
    #expect(advance(&machine, 30) == [])
    #expect(machine.services[0].phase == .exited)
    isSent = machine.killRequested(0, Signal(number: 9))
    #expect(isSent == false)
    machine.startRequested([0])
    #expect(advance(&machine, 31) == [.startProcess(service: 0)])
  }

  @Test("everything is stopped dependents first, and the next goes only when they have gone")
  func stopsInReverse() {
    var machine = SupervisorStateMachine(services: [
      plan("db"), plan("a", after: [Dependency(service: "db", condition: .started)]),
      plan("b", after: [Dependency(service: "db", condition: .started)]),
    ])
    machine.startRequested([0, 1, 2])
    var effects = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    effects = advance(&machine, 0)
    #expect(effects == [.startProcess(service: 1), .startProcess(service: 2)])
    machine.processStarted(1, id(2), at: .zero)
    machine.processStarted(2, id(3), at: .zero)
    machine.shutDownRequested(force: false)
    #expect(advance(&machine, 1) == [.signal(service: 2, 2, .process), .signal(service: 1, 2, .process)])
    machine.processEnded(1, .exited(0), at: .seconds(2))
    #expect(advance(&machine, 2) == [])
    machine.processEnded(2, .exited(0), at: .seconds(3))
    #expect(advance(&machine, 3) == [.signal(service: 0, 2, .process)])
    machine.processEnded(0, .exited(0), at: .seconds(4))
    #expect(advance(&machine, 4) == [.finish])
    #expect(advance(&machine, 5) == [])
  }

  @Test("who does not stop is sent the next signal after the grace period, and at last SIGKILL")
  func escalates() {
    var machine = SupervisorStateMachine(services: [plan("app", restart: .always)])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    machine.stopRequested([0], at: .zero)
    #expect(advance(&machine, 0) == [.signal(service: 0, 2, .process)])
    #expect(advance(&machine, 9.9) == [])
    #expect(advance(&machine, 10) == [.signal(service: 0, 3, .process)])
    #expect(advance(&machine, 15) == [.signal(service: 0, 9, .process)])
    machine.processEnded(0, .killed(signal: 9), at: .seconds(15))
    #expect(advance(&machine, 15) == [])
    #expect(machine.services[0].phase == .exited)
  }

  @Test("force kills everything at once, whatever depends on what")
  func forces() {
    var machine = SupervisorStateMachine(services: [plan("db"), plan("a", after: [Dependency(service: "db", condition: .started)])])
    machine.startRequested([0, 1])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    _ = advance(&machine, 0)
    machine.processStarted(1, id(2), at: .zero)
    machine.shutDownRequested(force: true)
    let effects = advance(&machine, 0)
    #expect(effects.contains(.signal(service: 0, 9, .process)))
    #expect(effects.contains(.signal(service: 1, 9, .process)))
  }

  @Test("restart stops and starts again, even while it waits for its turn")
  func restartsOnDemand() {
    var machine = SupervisorStateMachine(services: [plan("app")])
    machine.startRequested([0])
    _ = advance(&machine, 0)
    machine.processStarted(0, id(1), at: .zero)
    machine.restartRequested([0], at: .seconds(1))
    #expect(advance(&machine, 1) == [.signal(service: 0, 2, .process)])
    machine.processEnded(0, .exited(0), at: .seconds(2))
    #expect(advance(&machine, 2) == [.startProcess(service: 0)])
  }
}
