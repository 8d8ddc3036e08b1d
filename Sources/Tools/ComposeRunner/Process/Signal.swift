import Glibc

/// A signal by its name.
public struct Signal: Sendable, Hashable, CustomStringConvertible {
  public let number: Int32

  public init(number: Int32) { self.number = number }

  /// "SIGTERM", "TERM" or "15", in either case. Nil for anything else.
  public init?(_ text: String) {
    let upper = text.uppercased()
    let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
    if let number = Self.numbers[name] {
      self.number = number
    } else if let number = Int32(text), (1...31).contains(number) {
      self.number = number
    } else {
      return nil
    }
  }

  /// "SIGTERM", or "signal 40".
  public var description: String {
    Self.numbers.first { $0.value == number }.map { "SIG" + $0.key } ?? "signal \(number)"
  }

  /// Whether whoever sends it means the process to end.
  var ends: Bool { [SIGKILL, SIGTERM, SIGINT, SIGQUIT].contains(number) }

  private static let numbers: [String: Int32] = [
    "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ABRT": SIGABRT, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV,
    "USR2": SIGUSR2, "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "CONT": SIGCONT, "STOP": SIGSTOP, "BUS": SIGBUS,
    "ILL": SIGILL, "FPE": SIGFPE, "WINCH": SIGWINCH,
  ]
}
