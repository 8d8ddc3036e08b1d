import Glibc

/// Why the runner cannot do what it was asked: what is wrong and what to do.
public struct RunnerError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: String, Sendable, Hashable {
    /// The command makes no sense: an unknown service, a bad signal.
    case usage
    /// A service did not come up, a step failed.
    case failed
    /// Nothing runs, or the supervisor does not answer.
    case unavailable
    /// The machine is not ready: a directory, a port, a program, a certificate.
    case environment
    /// A mistake of the runner itself.
    case bug
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}

/// "Permission denied", in the words of the C library.
func systemMessage(_ error: Int32) -> String { String(cString: strerror(error)) }
