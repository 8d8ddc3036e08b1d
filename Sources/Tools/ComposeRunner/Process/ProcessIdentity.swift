import CSpawn
import FoundationEssentials
import Glibc

/// A process that cannot be mistaken for a later one with the same number: its id and the instant it began.
public struct ProcessIdentity: Sendable, Hashable, Codable {
  public var pid: Int32
  /// Clock ticks since boot (proc(5), /proc/PID/stat field 22).
  public var startTicks: UInt64

  public init(pid: Int32, startTicks: UInt64) {
    self.pid = pid
    self.startTicks = startTicks
  }

  /// The process that has this id now. Nil: there is none, or it has ended and waits to be reaped.
  public static func current(_ pid: Int32) -> ProcessIdentity? {
    guard let fields = stat(of: pid), fields.count > 19, fields[0] != "Z", fields[0] != "X", let ticks = UInt64(fields[19]) else {
      return nil
    }
    return ProcessIdentity(pid: pid, startTicks: ticks)
  }

  /// The process group and the start of a living process.
  static func groupAndStart(of pid: Int32) -> (group: Int32, startTicks: UInt64)? {
    guard let fields = stat(of: pid), fields.count > 19, fields[0] != "Z", fields[0] != "X", let group = Int32(fields[2]),
      let ticks = UInt64(fields[19])
    else { return nil }
    return (group, ticks)
  }

  public var isAlive: Bool { Self.current(pid) == self }

  /// Signals its process group, if it is still this process that leads it. False: it is gone.
  @discardableResult
  func signalGroup(_ signal: Int32) -> Bool {
    // The descriptor pins the process: between the check and the signal its number cannot be given to another.
    let descriptor = csp_pidfd_open(pid)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    guard isAlive else { return false }
    return kill(-pid, signal) == 0 || csp_pidfd_signal(descriptor, signal) == 0
  }

  /// Signals this process alone. False: it is gone.
  @discardableResult
  func signal(_ signal: Int32) -> Bool {
    let descriptor = csp_pidfd_open(pid)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return isAlive && csp_pidfd_signal(descriptor, signal) == 0
  }

  /// Differs after every boot: process ids and ticks of another boot mean nothing.
  static var bootID: String {
    let data = FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id") ?? Data()
    return String(decoding: data, as: UTF8.self).filter { !$0.isWhitespace }
  }

  /// Fields from the third on; the second, the name, may hold anything, spaces and parentheses too.
  private static func stat(of pid: Int32) -> [Substring]? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
    let text = String(decoding: data, as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return nil }
    return text[text.index(after: end)...].split(separator: " ")
  }
}
