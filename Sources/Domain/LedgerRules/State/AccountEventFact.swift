public import Money

/// What has to be known of a decided account command to answer its id again.
public struct AccountEventFact: Sendable, Hashable {
  public var outcome: PostingOutcome
  public var reason: DeclineReason?
  public var fingerprint: Fingerprint
  public var bookedAt: Timestamp
  public var batchNumber: Int64

  public init(outcome: PostingOutcome, reason: DeclineReason?, fingerprint: Fingerprint, bookedAt: Timestamp, batchNumber: Int64) {
    self.outcome = outcome
    self.reason = reason
    self.fingerprint = fingerprint
    self.bookedAt = bookedAt
    self.batchNumber = batchNumber
  }

  /// The answer to a command that comes under this id again.
  public func answer(to command: AccountCommand) -> Decision {
    guard command.fingerprint == fingerprint else {
      return Decision(
        outcome: .declined, reason: .existsWithDifferentFields, bookedAt: bookedAt, batchNumber: batchNumber, existed: true)
    }
    return Decision(outcome: outcome, reason: reason, bookedAt: bookedAt, batchNumber: batchNumber, existed: true)
  }
}
