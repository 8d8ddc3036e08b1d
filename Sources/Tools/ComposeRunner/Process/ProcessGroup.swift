import FoundationEssentials
import Glibc

/// What is left of a process group, found in /proc: the leader may be gone while its children go on.
enum ProcessGroup {
  /// The living members of the groups that these processes lead or led.
  static func members(of leaders: [ProcessIdentity]) -> [Int32: [ProcessIdentity]] {
    let startOfLeader = Dictionary(leaders.map { ($0.pid, $0.startTicks) }, uniquingKeysWith: { first, _ in first })
    var out: [Int32: [ProcessIdentity]] = [:]
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    for name in names {
      guard let pid = Int32(name), let (group, ticks) = ProcessIdentity.groupAndStart(of: pid) else { continue }
      // A group of the same number that began before the leader did is somebody else's.
      guard let leaderStart = startOfLeader[group], ticks >= leaderStart else { continue }
      out[group, default: []].append(ProcessIdentity(pid: pid, startTicks: ticks))
    }
    return out
  }
}
