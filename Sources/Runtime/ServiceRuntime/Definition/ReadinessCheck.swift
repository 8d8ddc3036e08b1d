/// One thing that must be so for the service to take calls.
public struct ReadinessCheck: Sendable {
  /// snake_case: "saga_recovery".
  public let name: String
  /// Nil: ready; else a sentence that says why not, without personal data. It has two seconds.
  public let check: @Sendable () async -> String?

  public init(name: String, check: @escaping @Sendable () async -> String?) {
    self.name = name
    self.check = check
  }
}
