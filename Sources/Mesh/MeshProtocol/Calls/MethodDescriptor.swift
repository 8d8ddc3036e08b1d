/// What is known of a method from its schema.
public struct MethodDescriptor: Sendable, Hashable {
  /// What a second execution would do (protobuf's `idempotency_level`).
  public enum Idempotency: Sendable, Hashable {
    case unknown
    /// Reads only.
    case noSideEffects
    /// Sending it again has no further effect.
    case idempotent
  }

  /// The canonical "package.Service/Method".
  public let path: String
  public let idempotency: Idempotency

  public init(path: String, idempotency: Idempotency) {
    self.path = path
    self.idempotency = idempotency
  }
}
