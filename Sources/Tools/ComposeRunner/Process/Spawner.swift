import CSpawn
import Glibc

/// Starts processes with nothing inherited but what is meant: three descriptors, a lifeline, an environment of their own, a process
/// group of their own, no pending signals or masks.
struct Spawner {
  /// The read end of the pipe whose write end only the supervisor has; -1: none.
  var lifeline: Int32

  /// A child that has been forked, and does nothing until it is released. If the supervisor dies first, the child ends.
  struct Waiting {
    fileprivate var child: csp_child
    var identity: ProcessIdentity
  }

  /// - Parameter input: descriptor that becomes its standard input; -1: /dev/null. `output` likewise for 1 and 2.
  func fork(_ plan: ProcessPlan, input: Int32 = -1, output: Int32, newSession: Bool = false) throws(RunnerError) -> Waiting {
    let takesLifeline = plan.takesLifeline && lifeline >= 0
    let arguments = [plan.executable] + plan.arguments + (takesLifeline ? ["--lifeline-fd", "3"] : [])
    let environment = plan.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    var child = csp_child()
    let groups = plan.user?.groups ?? []
    let error = Self.withCStrings(arguments) { arguments in
      Self.withCStrings(environment) { environment in
        plan.executable.withCString { path in
          plan.directory.withCString { directory in
            groups.withUnsafeBufferPointer { groups in
              var request = csp_plan()
              request.path = path
              request.arguments = arguments
              request.environment = environment
              request.directory = directory
              request.input = input
              request.output = output
              request.error = output
              request.lifeline = takesLifeline ? lifeline : -1
              request.new_session = newSession ? 1 : 0
              request.parent_death_signal = plan.deathSignal
              request.drop_privileges = plan.user == nil ? 0 : 1
              request.uid = plan.user?.userID ?? 0
              request.gid = plan.user?.groupID ?? 0
              request.groups = groups.baseAddress
              request.group_count = groups.count
              return csp_fork(&request, &child)
            }
          }
        }
      }
    }
    guard error == 0 else {
      throw RunnerError(.environment, "no process can be started (\(systemMessage(error))): check the limits on processes and memory")
    }
    // A child that was killed at once has no start time any more; it is then reaped like any other.
    return Waiting(child: child, identity: ProcessIdentity.current(child.pid) ?? ProcessIdentity(pid: child.pid, startTicks: 0))
  }

  /// Lets the child run.
  /// - Throws: `RunnerError` if it cannot become the program; it has then ended and must be reaped.
  func release(_ waiting: Waiting, _ plan: ProcessPlan) throws(RunnerError) {
    var child = waiting.child
    var stage: Int32 = 0
    let error = csp_release(&child, &stage)
    guard error != 0 else { return }
    let reason = systemMessage(error)
    switch Int(stage) {
    case Int(CSP_STAGE_DIRECTORY):
      throw RunnerError(.environment, "'\(plan.executable)' cannot work in '\(plan.directory)': \(reason)")
    case Int(CSP_STAGE_PRIVILEGES):
      throw RunnerError(.environment, "'\(plan.executable)' cannot become \(plan.user?.name ?? "what it should be"): \(reason)")
    default:
      throw RunnerError(.environment, "'\(plan.executable)' cannot be run: \(reason)")
    }
  }

  /// Ends a child that was never released, and reaps it.
  func abandon(_ waiting: Waiting) {
    kill(waiting.identity.pid, SIGKILL)
    close(waiting.child.release_descriptor)
    close(waiting.child.failure_descriptor)
    var status: Int32 = 0
    while waitpid(waiting.identity.pid, &status, 0) < 0 && errno == EINTR {}
  }

  private static func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R) -> R {
    let pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("the list ends with nil, so it is not empty") }
      return body(base)
    }
  }
}
