public import Money

/// The answer to one posting or command.
public struct Decision: Sendable, Hashable {
  public var outcome: PostingOutcome
  public var reason: DeclineReason?
  /// Of the batch that decided it.
  public var bookedAt: Timestamp
  public var batchNumber: Int64
  /// It had been decided before: this is that decision.
  public var existed: Bool

  public init(outcome: PostingOutcome, reason: DeclineReason?, bookedAt: Timestamp, batchNumber: Int64, existed: Bool) {
    self.outcome = outcome
    self.reason = reason
    self.bookedAt = bookedAt
    self.batchNumber = batchNumber
    self.existed = existed
  }
}
