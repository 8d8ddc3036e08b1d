/// What is wrong with a policy, and where. A service that cannot read its policy does not start.
public struct PolicyError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Stable words, for logs.
  public enum Code: String, Sendable, Hashable {
    case unreadable
    case malformedYAML = "malformed_yaml"
    case unknownKey = "unknown_key"
    case missingKey = "missing_key"
    case wrongType = "wrong_type"
    case unsupportedVersion = "unsupported_version"
    case malformedTrustDomain = "malformed_trust_domain"
    case malformedIdentity = "malformed_identity"
    case duplicateIdentity = "duplicate_identity"
    case malformedMethod = "malformed_method"
    case duplicateMethod = "duplicate_method"
    case unknownMethod = "unknown_method"
  }

  public var code: Code
  public var file: String
  /// From 1; nil if the whole file is meant.
  public var line: Int?
  /// What is wrong and what to do.
  public var message: String

  public init(_ code: Code, file: String, line: Int? = nil, _ message: String) {
    self.code = code
    self.file = file
    self.line = line
    self.message = message
  }

  public var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(message)" }
}
