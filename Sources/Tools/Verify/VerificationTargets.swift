public import Postgres

/// The databases to verify, as the auditor reaches them.
public struct VerificationTargets: Sendable {
  public var ledger: PostgresConfiguration
  /// Nil: what needs this database is reported as skipped.
  public var account: PostgresConfiguration?
  public var payment: PostgresConfiguration?
  public var notification: PostgresConfiguration?

  public init(
    ledger: PostgresConfiguration, account: PostgresConfiguration? = nil, payment: PostgresConfiguration? = nil,
    notification: PostgresConfiguration? = nil
  ) {
    self.ledger = ledger
    self.account = account
    self.payment = payment
    self.notification = notification
  }
}
