import CSpawn
import Glibc

/// An open descriptor that is closed when its owner goes. Close-on-exec is the opener's duty.
struct FileDescriptor: ~Copyable {
  let raw: Int32

  init(_ raw: Int32) { self.raw = raw }

  deinit { close(raw) }

  /// Both ends of a pipe, close-on-exec.
  static func pipe() throws(RunnerError) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard csp_pipe(&ends) == 0 else {
      throw RunnerError(.environment, "no pipe can be made (\(systemMessage(errno))): raise the limit of open files (ulimit -n)")
    }
    return (ends[0], ends[1])
  }
}
