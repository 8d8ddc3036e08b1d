import Glibc

/// A program that is started, fed, listened to and awaited. Blocks the calling thread for as long as it runs.
struct ToolProcess {
  var executable: String
  var arguments: [String]
  /// The whole environment: nothing is inherited, so that no PG* variable of the user gets in.
  var environment: [String: String] = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]

  struct Outcome {
    var status: Int32
    /// Standard output and standard error, in the order in which they came.
    var output: String
  }

  /// The same program as another user, in a clean set of groups. For root only.
  func becoming(_ user: ClusterUser) -> ToolProcess {
    guard user.isSomeoneElse else { return self }
    let identity = ["--reuid=\(user.userID)", "--regid=\(user.groupID)", "--init-groups", "--"]
    return ToolProcess(executable: "/usr/bin/setpriv", arguments: identity + [executable] + arguments, environment: environment)
  }

  /// - Parameter input: its standard input, at most 128 KiB.
  /// - Throws: `.toolFailed` if it cannot be started, fails, or takes longer than `seconds`.
  @discardableResult
  func run(input: String = "", within seconds: Int = 120) throws(ClusterError) -> Outcome {
    let outcome = try runUnchecked(input: input, within: seconds)
    guard outcome.status == 0 else {
      throw ClusterError(
        .toolFailed, "\(name) failed (status \(outcome.status)): \(outcome.output.suffix(2000).trimmingEnd)",
        remedy: "Mend what it says, then try again.")
    }
    return outcome
  }

  private var name: String { executable.split(separator: "/").last.map(String.init) ?? executable }

  /// As `run`, without judging the status.
  func runUnchecked(input: String = "", within seconds: Int = 120) throws(ClusterError) -> Outcome {
    // A socket pair is made close-on-exec in one step; a pipe, as Swift sees it, is not.
    let stream = try SocketPair()
    defer { stream.closeBoth() }
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(stream.ours, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let pid = try spawn(standardInput: stream.theirs, standardOutput: stream.theirs)
    stream.closeTheirs()
    feed(input, stream.ours)
    let deadline = ContinuousClock.now + .seconds(seconds)
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(stream.ours, &chunk, chunk.count)
      if count > 0 {
        output += chunk[..<count]
      } else if count == 0 || ![EAGAIN, EINTR].contains(errno) {
        break
      }
      if ContinuousClock.now > deadline {
        kill(pid, SIGKILL)
        _ = Self.reap(pid)
        throw ClusterError(
          .toolFailed, "\(name) did not finish within \(seconds) s: \(String(decoding: output.suffix(2000), as: UTF8.self).trimmingEnd)",
          remedy: "See whether the machine is overloaded, then try again.")
      }
    }
    return Outcome(status: Self.reap(pid), output: String(decoding: output, as: UTF8.self))
  }

  /// Starts it in a process group of its own, so that a Ctrl-C for us does not reach it.
  func spawn(standardInput: Int32, standardOutput: Int32) throws(ClusterError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
    posix_spawn_file_actions_adddup2(&actions, standardOutput, 1)
    posix_spawn_file_actions_adddup2(&actions, standardOutput, 2)
    // Libraries leave descriptors open across exec; a server or a watcher would hold them for as long as it lives. Closing what
    // is not open is no error here (glibc, spawni.c); the range is one that a process of ours does not leave.
    for descriptor in 3..<Int32(1024) { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var argv = ([executable] + arguments).map { strdup($0) } + [nil]
    var envp = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let failure = posix_spawn(&pid, executable, &actions, &attributes, &argv, &envp)
    guard failure == 0 else {
      throw ClusterError(
        .toolFailed, "\(executable) cannot be started: \(String(cString: strerror(failure)))",
        remedy: "See that it is installed and executable.")
    }
    return pid
  }

  private func feed(_ input: String, _ descriptor: Int32) {
    var rest = Array(input.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      // A program that has ended already tells by its status.
      guard count > 0 || errno == EINTR else { break }
      if count > 0 { rest = rest.dropFirst(count) }
    }
    shutdown(descriptor, Int32(SHUT_WR))
  }

  private static func reap(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    // WIFEXITED and WEXITSTATUS are macros; a signal counts as 128 + its number, as in the shell.
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }
}

/// Two connected sockets, closed on exec.
final class SocketPair {
  private(set) var ours: Int32
  private(set) var theirs: Int32

  init() throws(ClusterError) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw ClusterError(
        .toolFailed, "No socket pair: \(String(cString: strerror(errno)))", remedy: "Raise the limit on open files (ulimit -n).")
    }
    ours = ends[0]
    theirs = ends[1]
  }

  func closeTheirs() {
    if theirs >= 0 { close(theirs) }
    theirs = -1
  }

  func closeBoth() {
    closeTheirs()
    if ours >= 0 { close(ours) }
    ours = -1
  }
}

extension StringProtocol {
  var trimmingEnd: String {
    var text = Substring(self)
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
