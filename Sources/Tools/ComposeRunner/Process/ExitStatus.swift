import Glibc

/// How a process ended.
public enum ExitStatus: Sendable, Hashable, Codable {
  case exited(Int32)
  case killed(signal: Int32)

  /// From wait(2).
  init(waitStatus status: Int32) {
    let signal = status & 0x7f
    self = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
  }

  public var isSuccess: Bool { self == .exited(0) }

  /// As a shell has it: 128 + signal.
  public var code: Int32 {
    switch self {
    case .exited(let code): code
    case .killed(let signal): 128 + signal
    }
  }
}

extension ExitStatus: CustomStringConvertible {
  public var description: String {
    switch self {
    case .exited(let code): "exit code \(code)"
    case .killed(let signal): Signal(number: signal).description
    }
  }
}
