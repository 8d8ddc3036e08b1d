/// Why the process ends, in words that say what to do, and with which exit code.
public struct ServiceFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The exit codes of all Florin's executables.
  public enum Code: Int32, Sendable, Hashable {
    /// The operation failed, or was declined.
    case failed = 1
    /// Bad arguments or input.
    case usage = 2
    /// Something that is needed can't be reached now.
    case unavailable = 3
    /// Configuration, credentials or environment refused: trying again without a change is useless.
    case configuration = 4
    /// A bug in Florin.
    case internalBug = 70
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
