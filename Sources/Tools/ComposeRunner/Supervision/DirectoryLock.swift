import Glibc

/// The right to run, or to sweep, what belongs to a state directory: held by one process at a time, given back when it ends
/// however it ends.
final class DirectoryLock {
  private let descriptor: Int32

  private init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Nil: somebody else has it.
  static func tryAcquire(_ directory: StateDirectory) throws(RunnerError) -> DirectoryLock? {
    let descriptor = open(directory.lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw RunnerError(.environment, "'\(directory.lockFile)' cannot be written (\(systemMessage(errno))): choose another --state-dir")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      return nil
    }
    return DirectoryLock(descriptor: descriptor)
  }

  /// Waits for it while the condition holds. Nil: the condition or the time has ended.
  static func acquire(
    _ directory: StateDirectory, within limit: Duration, while condition: () throws(RunnerError) -> Bool = { true }
  ) throws(RunnerError) -> DirectoryLock? {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while true {
      if let lock = try tryAcquire(directory) { return lock }
      guard clock.now < deadline, try condition() else { return nil }
      usleep(20_000)
    }
  }
}
