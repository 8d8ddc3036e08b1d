public import Money

/// What has to be known of a decided posting to answer its id again, to reverse or to release it.
public struct TransferFact: Sendable, Hashable {
  public var kind: PostingKind
  public var outcome: PostingOutcome
  public var reason: DeclineReason?
  public var fingerprint: Fingerprint
  public var bookedAt: Timestamp
  public var batchNumber: Int64
  public var debit: Int64?
  public var credit: Int64?
  public var amount: Int64?
  /// The reversal or release that ended it.
  public var resolvedBy: UUID128?

  public init(
    kind: PostingKind, outcome: PostingOutcome, reason: DeclineReason?, fingerprint: Fingerprint, bookedAt: Timestamp,
    batchNumber: Int64, debit: Int64?, credit: Int64?, amount: Int64?, resolvedBy: UUID128?
  ) {
    self.kind = kind
    self.outcome = outcome
    self.reason = reason
    self.fingerprint = fingerprint
    self.bookedAt = bookedAt
    self.batchNumber = batchNumber
    self.debit = debit
    self.credit = credit
    self.amount = amount
    self.resolvedBy = resolvedBy
  }

  /// The decision again.
  public var decision: Decision {
    Decision(outcome: outcome, reason: reason, bookedAt: bookedAt, batchNumber: batchNumber, existed: true)
  }

  /// The answer to a posting that comes under this id again.
  public func answer(to posting: Posting) -> Decision {
    var decision = decision
    if outcome == .tombstone {
      decision.reason = .tombstone
    } else if posting.kind != .tombstone && posting.fingerprint != fingerprint {
      decision.outcome = .declined
      decision.reason = .existsWithDifferentFields
    }
    return decision
  }
}
