import Glibc

/// How to start a program: for a supervisor that wants to own it.
public struct LaunchCommand: Sendable, Hashable {
  public var executable: String
  public var arguments: [String]
  /// The whole environment.
  public var environment: [String: String]
  /// Whom it must run as; nil: as who starts it.
  public var user: ClusterUser?
}

extension PostgresCluster {
  /// How the server is to be stopped (PostgreSQL manual, Shutting Down the Server).
  public enum StopMode: Sendable, Hashable {
    /// Sessions are ended, transactions rolled back, a checkpoint is written. SIGINT.
    case fast
    /// At once; the next start recovers. SIGQUIT.
    case immediate

    var signal: Int32 {
      switch self {
      case .fast: SIGINT
      case .immediate: SIGQUIT
      }
    }
  }

  /// The server as a child of someone else. It stays in the foreground and speaks on standard error.
  public func launchCommand() -> LaunchCommand {
    LaunchCommand(
      executable: installation.program("postgres"), arguments: ["-D", layout.data],
      environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], user: user.isSomeoneElse ? user : nil)
  }

  /// Ends with status 0 once the server takes connections. Any user may run it who can reach the loopback interface.
  public func readinessCommand() -> LaunchCommand {
    LaunchCommand(
      executable: installation.program("pg_isready"), arguments: ["--quiet", "--host=127.0.0.1", "--port=\(port)", "--timeout=3"],
      environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], user: nil)
  }

  /// Starts the server in the background and waits until it is ready. Does nothing if it runs already.
  /// - Throws: `.serverFailed` with the last words of its log.
  public func start(within seconds: Int = 60) throws(ClusterError) {
    if postmasterPID != nil { return try waitUntilReady(within: seconds) }
    let arguments = ["start", "--pgdata=\(layout.data)", "--log=\(layout.log)", "--no-wait", "--silent"]
    let control = ToolProcess(executable: installation.program("pg_ctl"), arguments: arguments).becoming(user)
    try control.run(within: seconds)
    try waitUntilReady(within: seconds)
  }

  /// Waits until the server takes connections.
  public func waitUntilReady(within seconds: Int = 60) throws(ClusterError) {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var hasStarted = false
    // A postmaster that waits for the children of a killed one takes a moment to write its file.
    let patience = ContinuousClock.now + .seconds(3)
    while ContinuousClock.now < deadline {
      if postmasterPID != nil {
        hasStarted = true
        // The last line of the file (miscadmin.h, LOCK_FILE_LINE_PM_STATUS).
        if lockFileLines.count >= 8, lockFileLines[7].trimmingEnd == "ready" { return }
      } else if hasStarted || ContinuousClock.now > patience {
        throw serverFailed("PostgreSQL ended while it started")
      }
      usleep(20_000)
    }
    throw serverFailed("PostgreSQL was not ready after \(seconds) s")
  }

  /// The server's process, if it runs.
  public var postmasterPID: Int32? {
    guard let pid = lockFileLines.first.flatMap({ Int32($0) }), Self.isAlive(pid), isOurs(pid) else { return nil }
    return pid
  }

  /// Stops the server and waits until it has ended. Does nothing if it does not run.
  public func stop(_ mode: StopMode = .fast, within seconds: Int = 60) throws(ClusterError) {
    guard let pid = postmasterPID else { return }
    Glibc.kill(pid, mode.signal)
    try waitUntilGone(pid, within: seconds)
  }

  /// kill -9 of the postmaster, for tests. Its children end by themselves a moment later.
  public func kill() throws(ClusterError) {
    guard let pid = postmasterPID else { return }
    Glibc.kill(pid, SIGKILL)
    try waitUntilGone(pid, within: 10)
  }

  /// Starts again after `kill()`: waits for the shared memory that the killed server's children still hold.
  public func startAfterKill(within seconds: Int = 60) throws(ClusterError) {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
      do throws(ClusterError) { return try start(within: seconds) } catch {
        // "pre-existing shared memory block is still in use" until the last child has noticed.
        guard ContinuousClock.now < deadline else { throw error }
        usleep(100_000)
      }
    }
  }

  /// Makes the server read its configuration and its certificates again. Open connections stay.
  public func reload() {
    if let pid = postmasterPID { Glibc.kill(pid, SIGHUP) }
  }

  private var lockFileLines: [Substring] {
    Files.text(layout.data + "/postmaster.pid")?.split(separator: "\n", omittingEmptySubsequences: false) ?? []
  }

  private func waitUntilGone(_ pid: Int32, within seconds: Int) throws(ClusterError) {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while Self.isAlive(pid) {
      guard ContinuousClock.now < deadline else { throw serverFailed("PostgreSQL (process \(pid)) did not end within \(seconds) s") }
      usleep(10_000)
    }
  }

  /// A zombie counts as gone: in a container, nobody may ever reap it.
  private static func isAlive(_ pid: Int32) -> Bool {
    guard let status = Files.text("/proc/\(pid)/stat"), let parenthesis = status.lastIndex(of: ")") else { return false }
    let state = status[status.index(after: parenthesis)...].first { $0 != " " }
    return state != "Z" && state != "X"
  }

  /// Process ids are used again: after a crash the file may name somebody else's process. A postmaster works in its data directory.
  private func isOurs(_ pid: Int32) -> Bool {
    guard Files.text("/proc/\(pid)/comm")?.trimmingEnd == "postgres" else { return false }
    guard let working = realpath("/proc/\(pid)/cwd", nil) else { return errno == EACCES }
    defer { free(working) }
    return String(cString: working) == Files.absolute(layout.data)
  }

  private func serverFailed(_ what: String) -> ClusterError {
    let words = (Files.text(layout.log) ?? "").split(separator: "\n").suffix(8).joined(separator: "\n  ")
    return ClusterError(
      .serverFailed, words.isEmpty ? what : "\(what); the end of its log \(layout.log):\n  \(words)\n",
      remedy: "Mend what it says, then try again.")
  }
}
