import Glibc

/// The process that outlives a killed supervisor by as long as it takes to leave nothing running.
public enum Guardian {
  /// Waits until the lifeline ends, and then sweeps. A supervisor that ended in order says so with one byte before.
  /// Blocks; for the main thread of a process of its own.
  public static func run(_ directory: StateDirectory, lifeline: Int32) {
    // A Ctrl-C or a TERM to all is no reason to leave before the work is done.
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { signal(number, SIG_IGN) }
    let guarded = ProcessIdentity.current(getppid())
    var byte: UInt8 = 0
    while true {
      let count = read(lifeline, &byte, 1)
      if count == 1 { return }
      if count < 0, errno == EINTR { continue }
      break
    }
    // Nil only if it died before this line: nobody else can have come in between, for the lifeline would be at its end already.
    Sweep.run(directory, of: guarded)
  }
}
