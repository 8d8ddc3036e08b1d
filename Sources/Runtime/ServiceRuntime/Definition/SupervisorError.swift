/// Why the supervisor did not take a task.
public enum SupervisorError: Error, Sendable, Hashable, CustomStringConvertible {
  /// As many tasks as allowed are running: try again later.
  case full(limit: Int)
  /// The process is shutting down and takes no new work.
  case shuttingDown

  public var description: String {
    switch self {
    case .full(let limit): "\(limit) supervised tasks are running, which is the limit; try again later"
    case .shuttingDown: "the service is shutting down; try again at another instance or after its restart"
    }
  }
}
