import FoundationEssentials
import Glibc

/// Starting and stopping a whole project.
public enum ProjectLifecycle {
  /// How to start the hidden processes of the runner: this program itself.
  public struct Programs: Sendable {
    public var florin: String
    public var environment: [String: String]

    public init(florin: String, environment: [String: String]) {
      self.florin = florin
      self.environment = environment
    }

    func supervisor(_ directory: StateDirectory, attached: Bool) -> ProcessPlan {
      ProcessPlan(
        executable: florin, arguments: ["supervise", "--state-dir", directory.path] + (attached ? ["--attached"] : []),
        environment: environment, deathSignal: 0)
    }

    /// What a supervisor starts to outlive it.
    public func guardian(_ directory: StateDirectory) -> ProcessPlan {
      ProcessPlan(
        executable: florin, arguments: ["guard", "--state-dir", directory.path], environment: environment, takesLifeline: true,
        deathSignal: 0)
    }
  }

  /// Starts a supervisor for the plan, or, if one runs already, makes it start what does not run.
  /// - Parameter attached: everything is to end with the caller, who must attach within 10 s.
  /// - Returns: true if a supervisor was started.
  /// - Throws: `RunnerError`; also if one runs by another plan.
  public static func start(_ plan: ProjectPlan, programs: Programs, attached: Bool) throws(RunnerError) -> Bool {
    let directory = StateDirectory(path: plan.stateDirectory)
    let client = SupervisorClient(directory)
    if let status = try client.status(), status.phase == .running {
      guard status.planDigest == plan.digest else {
        throw RunnerError(
          .failed,
          "the project runs already, by a compose file or variables that have changed since: florin down first, then florin up")
      }
      try client.start([])
      return false
    }
    try directory.create()
    // Somebody else who has the lock is starting the same project: what then listens on its ports is no obstacle.
    if let lock = try DirectoryLock.tryAcquire(directory) {
      try withExtendedLifetime(lock) { () throws(RunnerError) in
        Sweep.run(directory)
        try Preflight.check(plan)
        try write(plan, to: directory)
      }
    }
    try launch(programs.supervisor(directory, attached: attached), directory, client)
    return true
  }

  /// Reads the plan that `start` wrote; for the supervisor process.
  public static func readPlan(_ directory: StateDirectory) throws(RunnerError) -> ProjectPlan {
    guard let data = FileManager.default.contents(atPath: directory.planFile),
      let plan = try? JSONDecoder().decode(ProjectPlan.self, from: data)
    else { throw RunnerError(.bug, "there is no plan in '\(directory.planFile)': florin up writes it and starts this process") }
    return plan
  }

  /// Waits until every service is up.
  /// - Parameters:
  ///   - onChange: told of every change of a service's state or health.
  ///   - isCancelled: asked between looks; true ends the wait at once.
  /// - Throws: `RunnerError.failed` if a service cannot come up, or has not within the time.
  public static func waitUntilUp(
    _ client: SupervisorClient, timeout: Duration, onChange: (ServiceStatus) -> Void, isCancelled: () -> Bool = { false }
  ) throws(RunnerError) {
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    var shown: [String: String] = [:]
    while !isCancelled() {
      guard let status = try client.status(), status.phase == .running else {
        throw RunnerError(.failed, "the supervisor has gone: see \(client.directory.supervisorLog)")
      }
      for service in status.services
      where shown.updateValue(service.state + service.health, forKey: service.name) != service.state + service.health {
        onChange(service)
      }
      if let failed = status.services.first(where: hasFailed) { throw failure(failed, client.directory) }
      if status.services.allSatisfy(\.isUp) { return }
      guard clock.now < deadline else {
        let missing = status.services.filter { !$0.isUp }.map { service in
          "\(service.name) (\(service.state)\(service.health == "none" ? "" : ", \(service.health)")"
            + (service.detail.map { ": \($0)" } ?? service.waitsFor.first.map { ", waits for \($0)" } ?? "") + ")"
        }
        throw RunnerError(
          .failed,
          "not all services were up within \(timeout.components.seconds) s: \(missing.joined(separator: ", ")); see florin logs, or wait longer with --wait-timeout"
        )
      }
      usleep(50_000)
    }
  }

  /// Stops everything and waits until nothing is left, whether a supervisor runs or was killed.
  /// - Parameter timeout: after this everything is killed.
  /// - Returns: false if nothing ran.
  /// - Throws: `RunnerError.failed` if something could not be ended.
  @discardableResult
  public static func stop(
    _ directory: StateDirectory, timeout: Duration, force: Bool, onChange: (ServiceStatus) -> Void = { _ in }
  ) throws(RunnerError) -> Bool {
    let client = SupervisorClient(directory)
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    var wasRunning = false
    var isForced = force
    var shown: [String: String] = [:]
    if try requestDown(client, force: force) {
      wasRunning = true
      while let status = try client.status() {
        for service in status.services where shown.updateValue(service.state, forKey: service.name) != service.state { onChange(service) }
        if clock.now >= deadline, !isForced {
          isForced = true
          try client.requestDown(force: true)
        }
        guard clock.now < deadline + .seconds(30) else {
          throw RunnerError(.failed, "not everything could be stopped: see florin ps and \(directory.supervisorLog)")
        }
        usleep(20_000)
      }
    }
    guard access(directory.runDirectory, F_OK) == 0 else { return wasRunning }
    // A supervisor's last act is to give the lock back; after a kill, what it left is still to be ended.
    guard let lock = try DirectoryLock.acquire(directory, within: .seconds(30)) else {
      let pid = SupervisorStatus.read(directory)?.supervisor.pid
      throw RunnerError(
        .failed, "the supervisor\(pid.map { " (pid \($0))" } ?? "") still holds '\(directory.path)': florin down --force kills it")
    }
    let swept = withExtendedLifetime(lock) {
      unlink(directory.runDirectory + "/" + directory.controlSocketName)
      return Sweep.run(directory, graceLimit: isForced ? .zero : .seconds(30))
    }
    return wasRunning || !swept.isEmpty
  }

  // MARK: - parts

  /// With force, a supervisor that does not answer is killed: what it leaves is swept afterwards.
  private static func requestDown(_ client: SupervisorClient, force: Bool) throws(RunnerError) -> Bool {
    do throws(RunnerError) {
      return try client.requestDown(force: force)
    } catch {
      guard force, error.code == .unavailable, let status = SupervisorStatus.read(client.directory),
        status.boot == ProcessIdentity.bootID
      else { throw error }
      status.supervisor.signal(SIGKILL)
      return false
    }
  }

  private static func hasFailed(_ service: ServiceStatus) -> Bool {
    switch service.state {
    case "failed": true
    case "exited": !service.isUp
    case "running", "restarting", "provisioning": service.restarts >= 3 && !service.hasBeenHealthy
    default: false
    }
  }

  private static func failure(_ service: ServiceStatus, _ directory: StateDirectory) -> RunnerError {
    var message = "\(service.name) did not come up"
    switch service.state {
    case "failed": message += ": " + (service.detail ?? "a step failed")
    case "exited": message += ": it ended with \(service.lastExit ?? "an unknown status")"
    default: message += ": it ended \(service.restarts) times, last with \(service.lastExit ?? service.detail ?? "an unknown status")"
    }
    let tail = service.state == "failed" ? "" : LogFile.tail(directory.log(of: service.name), limit: 1500)
    if !tail.isEmpty { message += "\n" + tail }
    return RunnerError(.failed, message + "\nsee florin logs \(service.name); florin down stops the others")
  }

  private static func write(_ plan: ProjectPlan, to directory: StateDirectory) throws(RunnerError) {
    guard let data = try? JSONEncoder().encode(plan) else { throw RunnerError(.bug, "the plan cannot be encoded") }
    do {
      try data.write(to: URL(filePath: directory.planFile), options: .atomic)
    } catch {
      throw RunnerError(.environment, "'\(directory.planFile)' cannot be written (\(error)): check the state directory")
    }
  }

  private static func launch(_ supervisor: ProcessPlan, _ directory: StateDirectory, _ client: SupervisorClient) throws(RunnerError) {
    let spawner = Spawner(lifeline: -1)
    let offset = LogFile.size(directory.supervisorLog)
    let log = try LogFile.open(directory.supervisorLog)
    defer { close(log) }
    let waiting = try spawner.fork(supervisor, output: log, newSession: true)
    do throws(RunnerError) {
      try spawner.release(waiting, supervisor)
    } catch {
      var status: Int32 = 0
      waitpid(waiting.identity.pid, &status, 0)
      throw error
    }
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(60)
    while clock.now < deadline {
      var status: Int32 = 0
      if waitpid(waiting.identity.pid, &status, WNOHANG) == waiting.identity.pid {
        // Two that are started at once: the other one has the lock, and will do.
        if ExitStatus(waitStatus: status) == .exited(3), try answers(client, within: .seconds(10)) { return }
        let reason = LogFile.tail(directory.supervisorLog, after: offset, limit: 2000)
        throw RunnerError(
          .failed, "the supervisor did not start (\(ExitStatus(waitStatus: status)))" + (reason.isEmpty ? "" : ": " + reason))
      }
      if try client.status()?.supervisor.pid == waiting.identity.pid { return }
      usleep(10_000)
    }
    throw RunnerError(.failed, "the supervisor did not answer within 60 s: see \(directory.supervisorLog)")
  }

  private static func answers(_ client: SupervisorClient, within limit: Duration) throws(RunnerError) -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while clock.now < deadline {
      if try client.status() != nil { return true }
      usleep(20_000)
    }
    return false
  }
}
