import Glibc

/// Ends what a supervisor left behind when it was killed.
///
/// Its children end by themselves (their lifeline is cut, and the kernel signals them); this waits for it, and makes sure.
enum Sweep {
  /// Signals, waits for the grace period of each, then kills, until nothing is left.
  /// - Parameter supervisor: whose processes; if the state is already another's, nothing is done. Nil: whoever's.
  /// - Returns: the names of services of which something had to be stopped.
  @discardableResult
  static func run(_ directory: StateDirectory, of supervisor: ProcessIdentity? = nil, graceLimit: Duration = .seconds(30)) -> [String] {
    guard let status = SupervisorStatus.read(directory), status.boot == ProcessIdentity.bootID,
      supervisor == nil || supervisor == status.supervisor
    else { return [] }
    let targets = status.processes.filter { $0.role != "guardian" }
    let clock = ContinuousClock()
    let start = clock.now
    var found: Set<String> = []
    var signalled: Set<ProcessIdentity> = []
    while true {
      let groups = ProcessGroup.members(of: targets.map(\.process))
      let left = targets.filter { groups[$0.process.pid] != nil }
      guard !left.isEmpty else { return found.sorted() }
      let waited = clock.now - start
      for target in left {
        found.insert(target.service)
        let overdue = waited >= min(.seconds(target.graceSeconds), graceLimit)
        for member in groups[target.process.pid] ?? [] {
          if overdue {
            member.signal(SIGKILL)
          } else if signalled.insert(member).inserted {
            member.signal(target.stopSignal)
          }
        }
      }
      // Not even SIGKILL ends a process that the kernel holds (a dead disk): give up rather than hang for ever.
      guard waited < graceLimit + .seconds(30) else { return found.sorted() }
      usleep(20_000)
    }
  }
}
