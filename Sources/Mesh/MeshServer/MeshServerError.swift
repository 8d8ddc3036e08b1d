/// Why a server did not start, or did not stop as it should.
public struct MeshServerError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Stable words, for logs and exit codes.
  public enum Code: String, Sendable, Hashable {
    case cannotListen = "cannot_listen"
    case wrongTrustDomain = "wrong_trust_domain"
    case wrongRole = "wrong_role"
    case duplicateMethod = "duplicate_method"
    case unusableLimits = "unusable_limits"
    case alreadyRun = "already_run"
    /// Handlers did not return after they were cancelled.
    case handlersLeft = "handlers_left"
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(code.rawValue): \(message)" }
}
