/// Which process of which service to start, signal and ask, and when: a value without processes, clock or I/O.
///
/// Facts come in as past-tense inputs; `advance(to:)` gives what is to be done about them. Whoever carries that out reports back
/// with further inputs, and calls `advance` again until there is nothing more to do.
struct SupervisorStateMachine: Sendable {
  enum Effect: Sendable, Equatable {
    case startStep(service: Int, StepPlan)
    case startProcess(service: Int)
    /// To the process group of the service's process, of its step, or of both.
    case signal(service: Int, Int32, Target)
    case startProbe(service: Int)
    case cancelProbe(service: Int)
    /// Something worth a line in the supervisor's log.
    case report(service: Int, event: String, detail: String)
    /// Everything has ended after `shutDown`.
    case finish
  }

  enum Target: Sendable, Equatable { case process, step }

  private(set) var services: [ServiceRecord]
  private(set) var isShuttingDown = false
  private var isForced = false
  private var hasFinished = false
  private var effects: [Effect] = []
  private let indices: [String: Int]
  /// For each service, those that depend on it.
  private let dependents: [[Int]]

  /// - Parameter services: dependencies first, names unique.
  init(services plans: [ServicePlan]) {
    services = plans.map(ServiceRecord.init)
    let indices = Dictionary(plans.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.indices = indices
    dependents = plans.map { plan in
      plans.indices.filter { plans[$0].dependencies.contains { $0.service == plan.name } }
    }
  }

  func index(of name: String) -> Int? { indices[name] }

  // MARK: - what the user wants

  /// Starts services that do not run, and forgets earlier failures.
  mutating func startRequested(_ targets: [Int]) {
    guard !isShuttingDown else { return }
    for index in targets {
      services[index].wanted = true
      services[index].isLeftAlone = false
      switch services[index].phase {
      case .exited, .failed, .restarting:
        services[index].phase = .created
        services[index].restartAt = nil
        services[index].restarts = 0
        services[index].crashesInRow = 0
        services[index].detail = nil
        services[index].failure = nil
      case .stopping: services[index].startsAgain = true
      case .created, .preparing, .running, .provisioning: break
      }
    }
  }

  mutating func stopRequested(_ targets: [Int], at now: Duration) {
    for index in targets { stop(index, at: now) }
  }

  mutating func restartRequested(_ targets: [Int], at now: Duration) {
    for index in targets {
      if services[index].isAtRest {
        startRequested([index])
      } else {
        stop(index, at: now)
        services[index].wanted = true
        services[index].startsAgain = true
      }
    }
  }

  /// Sends a signal to a running service; if it is one that ends processes, the service stays down. (As `docker kill` does.)
  /// - Returns: false if its process does not run.
  mutating func killRequested(_ index: Int, _ signal: Signal) -> Bool {
    guard services[index].process != nil else { return false }
    if signal.ends {
      services[index].isLeftAlone = true
      services[index].wanted = false
    }
    effects.append(.signal(service: index, signal.number, .process))
    return true
  }

  /// Stops everything, dependents first. With `force`, SIGKILLs everything at once.
  mutating func shutDownRequested(force: Bool) {
    isShuttingDown = true
    for index in services.indices {
      services[index].wanted = false
      services[index].startsAgain = false
    }
    guard force, !isForced else { return }
    isForced = true
    for index in services.indices { killAll(of: index) }
  }

  // MARK: - what happened

  mutating func stepStarted(_ index: Int, _ identity: ProcessIdentity, at now: Duration) {
    services[index].step = identity
    services[index].stepDeadline = currentStep(index).map { now + $0.timeout }
  }

  mutating func stepFailedToStart(_ index: Int, _ message: String, at now: Duration) { stepFailed(index, message, at: now) }

  /// - Parameter output: the end of what it printed, for people.
  mutating func stepEnded(_ index: Int, _ status: ExitStatus, output: String, at now: Duration) {
    let timedOut = services[index].stepTimedOut
    services[index].step = nil
    services[index].stepDeadline = nil
    services[index].stepTimedOut = false
    guard services[index].phase == .preparing || services[index].phase == .provisioning else { return }
    let name = currentStep(index)?.name ?? "step"
    guard status.isSuccess else {
      let reason = timedOut ? "it took too long" : status.description
      stepFailed(index, "\(name) failed (\(reason))" + (output.isEmpty ? "" : ": " + output), at: now)
      return
    }
    report(index, "service.step_done", name)
    services[index].stepIndex += 1
  }

  mutating func processStarted(_ index: Int, _ identity: ProcessIdentity, at now: Duration) {
    services[index].process = identity
    services[index].startedAt = now
    services[index].lastExit = nil
    services[index].phase = .running
    services[index].stepIndex = 0
    services[index].probeFailures = 0
    services[index].health = services[index].plan.probe == nil ? .none : .starting
    services[index].nextProbeAt = services[index].plan.probe == nil ? nil : now
    report(index, "service.started", "pid \(identity.pid)")
  }

  mutating func processFailedToStart(_ index: Int, _ message: String) {
    services[index].phase = .failed
    services[index].detail = message
    report(index, "service.failed", message)
  }

  mutating func processEnded(_ index: Int, _ status: ExitStatus, at now: Duration) {
    let ranFor = services[index].startedAt.map { now - $0 } ?? .zero
    services[index].process = nil
    services[index].startedAt = nil
    services[index].lastExit = status
    services[index].nextProbeAt = nil
    services[index].health = .none
    if services[index].isProbing { cancelProbe(index) }
    report(index, "service.ended", status.description)
    guard services[index].phase != .stopping else { return }
    if services[index].step != nil { effects.append(.signal(service: index, 9, .step)) }
    services[index].crashesInRow = ranFor >= RestartBackoff.settledAfter ? 1 : services[index].crashesInRow + 1
    guard restarts(index, after: status) else {
      services[index].phase = .exited
      return
    }
    services[index].restarts += 1
    services[index].phase = .restarting
    let delay = RestartBackoff.delay(crashesInRow: services[index].crashesInRow)
    services[index].restartAt = now + delay
    services[index].detail = "ended with \(status)"
    report(index, "service.restarting", "in \(delay)")
  }

  /// - Parameter failure: nil if it answered as it should.
  mutating func probeEnded(_ index: Int, failure: String?, at now: Duration) {
    services[index].isProbing = false
    guard services[index].process != nil, let probe = services[index].plan.probe, let startedAt = services[index].startedAt else { return }
    if let failure {
      services[index].detail = failure
      let isStarting = services[index].health == .starting
      if !isStarting || now - startedAt >= probe.startPeriod { services[index].probeFailures += 1 }
      if services[index].probeFailures >= probe.retries, services[index].health != .unhealthy {
        services[index].health = .unhealthy
        report(index, "service.unhealthy", failure)
      }
    } else {
      services[index].probeFailures = 0
      services[index].detail = nil
      if services[index].phase == .running, !needsProvisioning(index), services[index].health != .healthy {
        becomeHealthy(index)
      } else if services[index].phase == .running, needsProvisioning(index) {
        services[index].phase = .provisioning
      }
    }
    services[index].nextProbeAt = now + (services[index].health == .healthy ? probe.interval : probe.startInterval)
  }

  // MARK: - what to do

  /// When something is due if nothing happens before. Nil: never.
  func nextDeadline() -> Duration? {
    services.flatMap { service -> [Duration] in
      var out: [Duration] = []
      if let at = service.restartAt, service.phase == .restarting { out.append(at) }
      if let stop = service.stop, service.phase == .stopping { out.append(stop.nextSignalAt) }
      if let at = service.stepDeadline { out.append(at) }
      if let at = service.nextProbeAt, !service.isProbing, service.phase == .running { out.append(at) }
      return out
    }.min()
  }

  mutating func advance(to now: Duration) -> [Effect] {
    if isShuttingDown { advanceShutdown(at: now) }
    for index in services.indices { advance(index, at: now) }
    if isShuttingDown, !hasFinished, services.allSatisfy(\.isAtRest) {
      hasFinished = true
      effects.append(.finish)
    }
    defer { effects = [] }
    return effects
  }

  private mutating func advance(_ index: Int, at now: Duration) {
    if let deadline = services[index].stepDeadline, now >= deadline, services[index].step != nil {
      services[index].stepDeadline = nil
      services[index].stepTimedOut = true
      effects.append(.signal(service: index, 9, .step))
    }
    switch services[index].phase {
    case .created:
      guard services[index].wanted, dependenciesAreMet(index) else { return }
      services[index].phase = .preparing
      services[index].stepIndex = services[index].isPrepared ? services[index].plan.preparation.count : 0
      advance(index, at: now)
    case .preparing:
      guard services[index].step == nil else { return }
      if let step = currentStep(index) {
        effects.append(.startStep(service: index, step))
      } else {
        services[index].isPrepared = true
        effects.append(.startProcess(service: index))
      }
    case .running:
      if services[index].plan.probe == nil, needsProvisioning(index) {
        services[index].phase = .provisioning
        advance(index, at: now)
      } else if let at = services[index].nextProbeAt, now >= at, !services[index].isProbing {
        services[index].isProbing = true
        effects.append(.startProbe(service: index))
      }
    case .provisioning:
      guard services[index].step == nil else { return }
      if let step = currentStep(index) {
        effects.append(.startStep(service: index, step))
      } else {
        services[index].isProvisioned = true
        services[index].phase = .running
        becomeHealthy(index)
      }
    case .restarting:
      guard let at = services[index].restartAt, now >= at, services[index].isAtRest else { return }
      services[index].restartAt = nil
      effects.append(.startProcess(service: index))
    case .stopping: advanceStop(index, at: now)
    case .exited, .failed: break
    }
  }

  private mutating func advanceStop(_ index: Int, at now: Duration) {
    if services[index].isAtRest {
      services[index].stop = nil
      services[index].phase = .exited
      if let failure = services[index].failure {
        services[index].phase = .failed
        services[index].detail = failure
      } else if services[index].startsAgain, services[index].wanted {
        services[index].phase = .created
        services[index].restarts = 0
        services[index].crashesInRow = 0
        services[index].detail = nil
      }
      services[index].startsAgain = false
      report(index, "service.stopped", services[index].lastExit?.description ?? "")
      if services[index].phase == .created { advance(index, at: now) }
      return
    }
    guard let stop = services[index].stop, now >= stop.nextSignalAt else { return }
    let signals = services[index].plan.stopSignals
    let signal = stop.signalsSent < signals.count ? signals[stop.signalsSent] : 9
    if services[index].process != nil { effects.append(.signal(service: index, signal, .process)) }
    if services[index].step != nil { effects.append(.signal(service: index, 9, .step)) }
    services[index].stop = ServiceRecord.Stop(signalsSent: stop.signalsSent + 1, nextSignalAt: now + Self.escalationInterval)
    report(index, "service.stop_escalated", Signal(number: signal).description)
  }

  /// Dependents first: a service is stopped when nothing that depends on it is left.
  private mutating func advanceShutdown(at now: Duration) {
    for index in services.indices.reversed() {
      if services[index].isAtRest {
        if services[index].phase != .failed { services[index].phase = .exited }
        services[index].restartAt = nil
      } else if services[index].phase != .stopping, dependents[index].allSatisfy({ services[$0].isAtRest }) {
        stop(index, at: now)
      }
    }
  }

  // MARK: - parts

  private mutating func stop(_ index: Int, at now: Duration) {
    services[index].wanted = false
    services[index].startsAgain = false
    guard services[index].phase != .stopping else { return }
    services[index].restartAt = nil
    services[index].nextProbeAt = nil
    if services[index].isProbing { cancelProbe(index) }
    guard !services[index].isAtRest else {
      if services[index].phase != .failed { services[index].phase = .exited }
      return
    }
    services[index].phase = .stopping
    let first = services[index].plan.stopSignals.first ?? 15
    if services[index].process != nil { effects.append(.signal(service: index, first, .process)) }
    if services[index].step != nil { effects.append(.signal(service: index, 15, .step)) }
    services[index].stop = ServiceRecord.Stop(signalsSent: 1, nextSignalAt: now + services[index].plan.stopGracePeriod)
    report(index, "service.stopping", Signal(number: first).description)
  }

  private mutating func killAll(of index: Int) {
    if services[index].process != nil { effects.append(.signal(service: index, 9, .process)) }
    if services[index].step != nil { effects.append(.signal(service: index, 9, .step)) }
  }

  private mutating func stepFailed(_ index: Int, _ message: String, at now: Duration) {
    report(index, "service.failed", message)
    services[index].detail = message
    if services[index].process == nil {
      services[index].phase = .failed
    } else {
      services[index].failure = message
      stop(index, at: now)
    }
  }

  private mutating func becomeHealthy(_ index: Int) {
    guard services[index].plan.probe != nil else { return }
    services[index].health = .healthy
    services[index].hasBeenHealthy = true
    services[index].detail = nil
    report(index, "service.healthy", "")
  }

  private mutating func cancelProbe(_ index: Int) {
    services[index].isProbing = false
    effects.append(.cancelProbe(service: index))
  }

  private mutating func report(_ index: Int, _ event: String, _ detail: String) {
    effects.append(.report(service: index, event: event, detail: detail))
  }

  private func needsProvisioning(_ index: Int) -> Bool {
    !services[index].isProvisioned && !services[index].plan.provisioning.isEmpty
  }

  private func currentStep(_ index: Int) -> StepPlan? {
    let steps = services[index].process == nil ? services[index].plan.preparation : services[index].plan.provisioning
    return services[index].stepIndex < steps.count ? steps[services[index].stepIndex] : nil
  }

  private func dependenciesAreMet(_ index: Int) -> Bool {
    services[index].plan.dependencies.allSatisfy { dependency in
      guard let other = indices[dependency.service] else { return false }
      return switch dependency.condition {
      case .started: services[other].process != nil || services[other].lastExit != nil
      case .healthy: services[other].process != nil && services[other].health == .healthy
      case .completed: services[other].phase == .exited && services[other].lastExit?.isSuccess ?? false
      }
    }
  }

  private func restarts(_ index: Int, after status: ExitStatus) -> Bool {
    guard !services[index].isLeftAlone, !isShuttingDown else { return false }
    return switch services[index].plan.restart {
    case .no: false
    case .always, .unlessStopped: true
    case .onFailure(let limit): !status.isSuccess && limit.map { services[index].crashesInRow <= $0 } ?? true
    }
  }

  /// Between the signals of a stop, after the grace period has passed.
  private static let escalationInterval = Duration.seconds(5)
}
