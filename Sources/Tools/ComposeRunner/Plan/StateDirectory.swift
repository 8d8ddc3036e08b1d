import FoundationEssentials
import Glibc

/// The files of one running project.
public struct StateDirectory: Sendable, Hashable {
  public let path: String

  public init(path: String) { self.path = path }

  public var stateFile: String { path + "/state.json" }
  public var runDirectory: String { path + "/run" }
  public var logsDirectory: String { path + "/logs" }
  public var planFile: String { path + "/run/plan.json" }
  public var lockFile: String { path + "/run/supervisor.lock" }
  public var controlSocketName: String { "control.sock" }
  public var supervisorLog: String { path + "/logs/supervisor.log" }

  public func log(of service: String) -> String { "\(logsDirectory)/\(service).log" }

  /// Makes the directories that are missing.
  /// - Throws: `RunnerError` that names the directory and says what to do.
  public func create() throws(RunnerError) {
    // PostgreSQL's own user must be able to walk through the top; what the others hold is nobody else's affair.
    try make(path, mode: 0o755)
    try make(runDirectory, mode: 0o700)
    try make(logsDirectory, mode: 0o700)
    guard access(path, W_OK | X_OK) == 0, access(runDirectory, W_OK | X_OK) == 0, access(logsDirectory, W_OK | X_OK) == 0 else {
      throw notWritable(path, errno)
    }
  }

  private func make(_ directory: String, mode: mode_t) throws(RunnerError) {
    if mkdir(directory, mode) == 0 { return }
    let error = errno
    var status = stat()
    if error == EEXIST {
      guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw RunnerError(
          .environment, "'\(directory)' is in the way: it is not a directory; remove it, or choose another with --state-dir DIR")
      }
      return
    }
    if error == ENOENT {
      throw RunnerError(
        .environment, "the directory above '\(directory)' does not exist: make it, or choose another with --state-dir DIR")
    }
    throw notWritable(directory, error)
  }

  private func notWritable(_ directory: String, _ error: Int32) -> RunnerError {
    RunnerError(
      .environment,
      "the state directory '\(directory)' cannot be written (\(systemMessage(error))): make it yours, or choose another with --state-dir DIR"
    )
  }
}
