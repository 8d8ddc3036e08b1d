public import Money

/// What is on record for a key.
public struct KeyRecord: Hashable, Sendable {
  public let fingerprint: RequestFingerprint
  /// Nil while the payment is under way.
  public let reply: StoredReply?
  /// Nil while the payment is under way.
  public let expiresAt: Timestamp?

  public init(fingerprint: RequestFingerprint, reply: StoredReply?, expiresAt: Timestamp?) {
    self.fingerprint = fingerprint
    self.reply = reply
    self.expiresAt = expiresAt
  }
}

/// What a request with a key is.
public enum IdempotencyDecision: Hashable, Sendable {
  /// The first of its kind: do it.
  case new
  /// Done before: send the stored reply, byte for byte.
  case replay(StoredReply)
  /// The same request is under way: wait, or come back.
  case inProgress
  /// The key stands for another request: FAILED_PRECONDITION (HTTP 422).
  case otherBody
  /// The reply is no longer kept, the payment is: FAILED_PRECONDITION `key_expired` with the payment's address (HTTP 409).
  case keyExpired

  /// - Parameters:
  ///   - paymentExists: whether the scope's payment id is taken; that table forgets nothing.
  ///   - record: what is on record for the key, if it still is.
  public static func decide(
    paymentExists: Bool, record: KeyRecord?, fingerprint: RequestFingerprint, now: Timestamp
  ) -> IdempotencyDecision {
    guard paymentExists else { return .new }
    guard let record else { return .keyExpired }
    // Expiry first: whether the sweeper has been round must make no difference to the answer.
    if let expiry = record.expiresAt, expiry <= now { return .keyExpired }
    guard record.fingerprint == fingerprint else { return .otherBody }
    return record.reply.map(IdempotencyDecision.replay) ?? .inProgress
  }
}
