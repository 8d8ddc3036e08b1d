import CSpawn
import FoundationEssentials
import Glibc
import Money

/// Runs a project until it is told to stop: one thread, one poll loop. What to do is decided by `SupervisorStateMachine`; this
/// carries it out and reports back.
public final class Supervisor {
  private enum Role: Equatable {
    case process(Int)
    case step(Int, logOffset: Int64)
    case probe(Int, deadline: Duration)
    case guardian
  }

  private struct Child {
    var identity: ProcessIdentity
    var descriptor: Int32
    var role: Role
  }

  private let plan: ProjectPlan
  private let directory: StateDirectory
  private let guardianPlan: ProcessPlan?
  private let needsOwner: Bool
  /// Held as long as this supervisor lives.
  private let lock: DirectoryLock
  private let listener: Int32
  private let signals: Int32
  private let log: EventLog
  private let planDigest: String
  private let boot = ProcessIdentity.bootID
  private let clock = ContinuousClock()
  private let origin: ContinuousClock.Instant
  private let lifeline: (read: Int32, write: Int32)
  private let guardianLifeline: (read: Int32, write: Int32)

  private var machine: SupervisorStateMachine
  private var children: [Child] = []
  private var probes: [(service: Int, probe: HTTPProbe)] = []
  private var connections: [ControlConnection] = []
  private var hasHadOwner = false
  private var isFinished = false
  private var lastState: Data?

  private static let maximumConnections = 32

  /// Takes the lock of the state directory, ends what an earlier supervisor left, and listens. Starts nothing yet.
  /// - Parameters:
  ///   - guardian: how to start the guardian; nil: none (then only the kernel's signal ends the children of a killed supervisor).
  ///   - needsOwner: a client must attach within 10 s, and everything ends with it.
  ///   - handlesSignals: TERM and INT stop everything in order, a second one at once. False for supervisors inside other programs.
  /// - Throws: `RunnerError`; `.unavailable` if another supervisor runs here.
  public init(plan: ProjectPlan, guardian: ProcessPlan?, needsOwner: Bool = false, handlesSignals: Bool) throws(RunnerError) {
    self.plan = plan
    directory = StateDirectory(path: plan.stateDirectory)
    guardianPlan = guardian
    self.needsOwner = needsOwner
    try directory.create()
    // Whoever only sweeps gives it back soon; another supervisor answers.
    let client = SupervisorClient(directory)
    guard
      let lock = try DirectoryLock.acquire(directory, within: .seconds(60), while: { () throws(RunnerError) in try client.status() == nil })
    else {
      throw RunnerError(.unavailable, "another supervisor runs in '\(directory.path)': use it, or stop it with florin down")
    }
    self.lock = lock
    Sweep.run(directory)
    log = try EventLog(path: directory.supervisorLog)
    planDigest = plan.digest
    lifeline = try FileDescriptor.pipe()
    guardianLifeline = try FileDescriptor.pipe()
    if handlesSignals {
      let numbers = [SIGTERM, SIGINT]
      signals = csp_signal_descriptor(numbers, numbers.count)
      signal(SIGHUP, SIG_IGN)
    } else {
      signals = -1
    }
    machine = SupervisorStateMachine(services: plan.services)
    origin = clock.now
    listener = try ControlSocket.listen(in: directory)
  }

  /// Starts everything and returns when everything has been stopped, by `florin down` or a signal.
  public func run() throws(RunnerError) {
    log.write("supervisor.started", detail: plan.project)
    try startGuardian()
    machine.startRequested(Array(plan.services.indices))
    saveState()
    while !isFinished {
      carryOut()
      guard !isFinished else { break }
      wait()
      killOverdueProbes()
      if needsOwner, !hasHadOwner, now > .seconds(10), !machine.isShuttingDown {
        log.write("supervisor.orphaned", detail: "whoever started it did not attach")
        machine.shutDownRequested(force: false)
      }
    }
    dismissGuardian()
    close(listener)
    unlink(directory.runDirectory + "/" + directory.controlSocketName)
    for connection in connections { close(connection.descriptor) }
    for end in [lifeline.read, lifeline.write, guardianLifeline.read, guardianLifeline.write] { close(end) }
    if signals >= 0 { close(signals) }
    log.write("supervisor.stopped")
  }

  private var now: Duration { clock.now - origin }

  // MARK: - doing what the machine says

  private func carryOut() {
    // Each round can make more due; the machine settles after a few.
    while true {
      let effects = machine.advance(to: now)
      guard !effects.isEmpty else { break }
      for effect in effects { carryOut(effect) }
    }
    saveState()
  }

  private func carryOut(_ effect: SupervisorStateMachine.Effect) {
    switch effect {
    case .startStep(let index, let step):
      let path = directory.log(of: plan.services[index].name)
      do throws(RunnerError) {
        let identity = try spawn(step.process, role: .step(index, logOffset: LogFile.size(path)), log: path)
        machine.stepStarted(index, identity, at: now)
      } catch {
        machine.stepFailedToStart(index, "\(step.name): \(error.message)", at: now)
      }
    case .startProcess(let index):
      do throws(RunnerError) {
        let service = plan.services[index]
        let identity = try spawn(service.process, role: .process(index), log: directory.log(of: service.name))
        machine.processStarted(index, identity, at: now)
      } catch {
        machine.processFailedToStart(index, error.message)
      }
    case .signal(let index, let number, let target):
      let record = machine.services[index]
      (target == .process ? record.process : record.step)?.signalGroup(number)
    case .startProbe(let index): startProbe(index)
    case .cancelProbe(let index): cancelProbe(index)
    case .report(let index, let event, let detail): log.write(event, subject: plan.services[index].name, detail: detail)
    case .finish: isFinished = true
    }
  }

  /// The child is written down before it runs: there is no instant at which a killed supervisor leaves a process nobody knows of.
  private func spawn(_ process: ProcessPlan, role: Role, log path: String?) throws(RunnerError) -> ProcessIdentity {
    let isGuardian = role == .guardian
    let spawner = Spawner(lifeline: isGuardian ? guardianLifeline.read : lifeline.read)
    let output = try path.map { path throws(RunnerError) in try LogFile.open(path) } ?? -1
    defer { if output >= 0 { close(output) } }
    let waiting = try spawner.fork(process, output: output, newSession: isGuardian)
    let descriptor = csp_pidfd_open(waiting.identity.pid)
    guard descriptor >= 0 else {
      spawner.abandon(waiting)
      throw RunnerError(
        .environment, "this kernel cannot watch processes (pidfd_open: \(systemMessage(errno))): Linux 5.3 or later is needed")
    }
    children.append(Child(identity: waiting.identity, descriptor: descriptor, role: role))
    saveState()
    do throws(RunnerError) {
      try spawner.release(waiting, process)
    } catch {
      reap(waiting.identity)
      throw error
    }
    return waiting.identity
  }

  // MARK: - waiting

  private func wait() {
    var entries: [pollfd] = []
    var actions: [() -> Void] = []
    func watch(_ descriptor: Int32, _ events: Int16 = Int16(POLLIN), _ action: @escaping () -> Void) {
      entries.append(pollfd(fd: descriptor, events: events, revents: 0))
      actions.append(action)
    }
    if signals >= 0 { watch(signals) { [unowned self] in signalled() } }
    watch(listener) { [unowned self] in accept() }
    for child in children { watch(child.descriptor) { [unowned self] in childEnded(child.identity) } }
    for (service, probe) in probes { watch(probe.descriptor, probe.pollEvents) { [unowned self] in probeBecameReady(service) } }
    for connection in connections { watch(connection.descriptor, connection.pollEvents) { [unowned self] in serve(connection.descriptor) } }

    guard poll(&entries, nfds_t(entries.count), timeoutMilliseconds) > 0 else { return }
    for (entry, action) in zip(entries, actions) where entry.revents != 0 { action() }
  }

  private var timeoutMilliseconds: Int32 {
    let deadlines = [machine.nextDeadline(), probes.map(\.probe.deadline).min(), commandProbeDeadline].compactMap { $0 }
    let wait = min((deadlines.min() ?? .seconds(1)) - now, .seconds(1))
    guard wait > .zero else { return 0 }
    // Rounded up: to wake a little late costs nothing, to wake early makes the loop spin.
    return Int32(wait.components.attoseconds / 1_000_000_000_000_000 + wait.components.seconds * 1000 + 1)
  }

  private func signalled() {
    while true {
      let number = csp_next_signal(signals)
      guard number != 0 else { return }
      log.write("supervisor.signalled", detail: Signal(number: number).description)
      machine.shutDownRequested(force: machine.isShuttingDown)
    }
  }

  // MARK: - children

  private func childEnded(_ identity: ProcessIdentity) {
    guard let child = children.first(where: { $0.identity == identity }) else { return }
    // Not reaped yet, its number is still its own: whatever it left in its group ends with it, as in a container.
    if case .guardian = child.role {} else { kill(-identity.pid, SIGKILL) }
    guard let status = reap(identity) else { return }
    switch child.role {
    case .process(let index): machine.processEnded(index, status, at: now)
    case .step(let index, let offset):
      let output = LogFile.tail(directory.log(of: plan.services[index].name), after: offset, limit: 2000)
      machine.stepEnded(index, status, output: status.isSuccess ? "" : output, at: now)
    case .probe(let index, _):
      machine.probeEnded(index, failure: status.isSuccess ? nil : "its healthcheck ended with \(status)", at: now)
    case .guardian:
      log.write("guardian.ended", detail: status.description)
      // Somebody killed it: without one, a killed supervisor could leave a stopped process behind.
      do throws(RunnerError) { try startGuardian() } catch { log.write("guardian.failed", detail: error.message) }
    }
  }

  @discardableResult
  private func reap(_ identity: ProcessIdentity) -> ExitStatus? {
    guard let index = children.firstIndex(where: { $0.identity == identity }) else { return nil }
    var status: Int32 = 0
    var result: Int32
    repeat { result = waitpid(identity.pid, &status, 0) } while result < 0 && errno == EINTR
    close(children[index].descriptor)
    children.remove(at: index)
    return result == identity.pid ? ExitStatus(waitStatus: status) : .exited(127)
  }

  // MARK: - probes

  private func startProbe(_ index: Int) {
    guard let probe = plan.services[index].probe else { return }
    let deadline = now + probe.timeout
    do throws(RunnerError) {
      switch probe.method {
      case .http(let port, let path): probes.append((index, try HTTPProbe(port: port, path: path, deadline: deadline)))
      case .command(let process): _ = try spawn(process, role: .probe(index, deadline: deadline), log: nil)
      }
    } catch {
      machine.probeEnded(index, failure: error.message, at: now)
    }
  }

  private func probeBecameReady(_ service: Int) {
    guard let position = probes.firstIndex(where: { $0.service == service }) else { return }
    let outcome = probes[position].probe.becameReady()
    guard outcome != .unfinished else { return }
    close(probes[position].probe.descriptor)
    probes.remove(at: position)
    let failure: String? = if case .failed(let reason) = outcome { reason } else { nil }
    machine.probeEnded(service, failure: failure, at: now)
  }

  private func cancelProbe(_ index: Int) {
    for (service, probe) in probes where service == index { close(probe.descriptor) }
    probes.removeAll { $0.service == index }
    for child in children {
      if case .probe(index, _) = child.role {
        kill(-child.identity.pid, SIGKILL)
        reap(child.identity)
      }
    }
  }

  private var commandProbeDeadline: Duration? {
    children.compactMap { child in if case .probe(_, let deadline) = child.role { deadline } else { nil } }.min()
  }

  private func killOverdueProbes() {
    let now = now
    for (service, probe) in probes where now >= probe.deadline {
      cancelProbe(service)
      machine.probeEnded(service, failure: "no answer within \(plan.services[service].probe?.timeout ?? .zero)", at: now)
    }
    for child in children {
      if case .probe(let service, let deadline) = child.role, now >= deadline {
        cancelProbe(service)
        machine.probeEnded(service, failure: "its healthcheck took longer than \(plan.services[service].probe?.timeout ?? .zero)", at: now)
      }
    }
  }

  // MARK: - clients

  private func accept() {
    let descriptor = csp_accept(listener)
    guard descriptor >= 0 else { return }
    guard connections.count < Self.maximumConnections else {
      close(descriptor)
      return
    }
    connections.append(ControlConnection(descriptor: descriptor))
  }

  private func serve(_ descriptor: Int32) {
    guard let index = connections.firstIndex(where: { $0.descriptor == descriptor }) else { return }
    connections[index].flush()
    for line in connections[index].receive() {
      let reply = answer(line, from: index)
      guard let encoded = try? ControlCoding.encoder().encode(reply) else { continue }
      connections[index].send(Array(encoded))
    }
    guard connections[index].isFinished else { return }
    if connections[index].isOwner, !machine.isShuttingDown {
      log.write("supervisor.orphaned", detail: "whoever started it has gone")
      machine.shutDownRequested(force: false)
    }
    close(descriptor)
    connections.remove(at: index)
  }

  private func answer(_ line: [UInt8], from connection: Int) -> ControlReply {
    guard let request = try? ControlCoding.decoder().decode(ControlRequest.self, from: Data(line)) else {
      return ControlReply(error: "this is no request: florin and the running supervisor are of different versions; run florin down")
    }
    var targets: [Int] = []
    for name in request.services {
      guard let index = machine.index(of: name) else {
        return ControlReply(error: "there is no service '\(name)': there are \(plan.services.map(\.name).joined(separator: ", "))")
      }
      targets.append(index)
    }
    let all = request.services.isEmpty ? Array(plan.services.indices) : targets
    if machine.isShuttingDown, [.start, .restart, .kill].contains(request.command) {
      return ControlReply(error: "everything is being stopped: wait for florin down to finish")
    }
    switch request.command {
    case .status: break
    case .start: machine.startRequested(all)
    case .stop: machine.stopRequested(all, at: now)
    case .restart: machine.restartRequested(all, at: now)
    case .kill:
      guard let signal = Signal(request.signal ?? "SIGKILL") else { return ControlReply(error: "'\(request.signal ?? "")' is no signal") }
      for index in targets where !machine.killRequested(index, signal) {
        return ControlReply(error: "\(plan.services[index].name) does not run: there is nothing to signal")
      }
    case .down: machine.shutDownRequested(force: request.force)
    case .attach:
      connections[connection].isOwner = true
      hasHadOwner = true
    }
    if request.command != .status { carryOut() }
    return ControlReply(status: status())
  }

  // MARK: - state

  private func status() -> SupervisorStatus {
    let now = now
    let phase: SupervisorStatus.Phase = isFinished ? .stopped : machine.isShuttingDown ? .stopping : .running
    let services = machine.services.map { ServiceStatus($0, others: machine.services, at: now) }
    let me = ProcessIdentity.current(getpid()) ?? ProcessIdentity(pid: getpid(), startTicks: 0)
    return SupervisorStatus(
      phase: phase, project: plan.project, composeFile: plan.composeFile, certificatesDirectory: plan.certificatesDirectory,
      trustDomain: plan.trustDomain, planDigest: planDigest, boot: boot, supervisor: me, services: services,
      processes: children.map(tracked))
  }

  private func tracked(_ child: Child) -> TrackedProcess {
    func entry(_ index: Int?, _ role: String, _ signal: Int32, _ grace: Duration) -> TrackedProcess {
      TrackedProcess(
        service: index.map { plan.services[$0].name } ?? "supervisor", role: role, process: child.identity, stopSignal: signal,
        graceSeconds: Int(grace.components.seconds))
    }
    return switch child.role {
    case .process(let index):
      entry(index, "process", plan.services[index].stopSignals.first ?? SIGTERM, plan.services[index].stopGracePeriod)
    case .step(let index, _): entry(index, "step", SIGTERM, .seconds(5))
    case .probe(let index, _): entry(index, "probe", SIGKILL, .zero)
    case .guardian: entry(nil, "guardian", SIGTERM, .zero)
    }
  }

  /// Replaces `state.json` as a whole if anything but the clock has changed.
  private func saveState() {
    var status = status()
    for index in status.services.indices { status.services[index].uptimeSeconds = nil }
    guard let data = try? ControlCoding.encoder().encode(status), data != lastState else { return }
    let temporary = directory.stateFile + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return log.write("state.write_failed", detail: systemMessage(errno)) }
    let written = data.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    guard written == data.count, rename(temporary, directory.stateFile) == 0 else {
      return log.write("state.write_failed", detail: systemMessage(errno))
    }
    lastState = data
  }

  // MARK: - guardian

  private func startGuardian() throws(RunnerError) {
    guard let guardianPlan, !isFinished else { return }
    _ = try spawn(guardianPlan, role: .guardian, log: directory.supervisorLog)
  }

  private func dismissGuardian() {
    saveState()
    guard let guardian = children.first(where: { $0.role == .guardian }) else { return }
    var goodbye: UInt8 = 0x71
    write(guardianLifeline.write, &goodbye, 1)
    var entry = pollfd(fd: guardian.descriptor, events: Int16(POLLIN), revents: 0)
    if poll(&entry, 1, 2000) <= 0 { kill(guardian.identity.pid, SIGKILL) }
    reap(guardian.identity)
    saveState()
  }
}
