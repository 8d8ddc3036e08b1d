public import Money

/// One thing to be booked, under an id of its own.
public struct Posting: Sendable, Hashable {
  /// Time-ordered, chosen by the caller: sending the posting again under the same id answers the same.
  public let id: TransferID
  public let body: Body
  /// Of the body; with it a posting that comes again is told from another one under the same id.
  public let fingerprint: Fingerprint

  public enum Body: Sendable, Hashable {
    /// Moves money from the debited to the credited account. Without a value date it is the day of booking.
    case transfer(debit: AccountID, credit: AccountID, amount: Amount, type: String, reference: UUID128, valueDate: CivilDate?)
    /// Undoes a posted transfer, once and whole.
    case reversal(of: TransferID, type: String, reference: UUID128)
    /// Makes part of a balance unavailable until it is released.
    case hold(account: AccountID, amount: Amount, type: String, reference: UUID128)
    /// Ends a hold.
    case release(of: TransferID, type: String, reference: UUID128)
    /// Forbids the posting's id.
    case tombstone(reference: UUID128)
  }

  public init(id: TransferID, body: Body) {
    self.id = id
    self.body = body
    fingerprint = Fingerprint(of: body)
  }

  public var kind: PostingKind {
    switch body {
    case .transfer: .transfer
    case .reversal: .reversal
    case .hold: .hold
    case .release: .release
    case .tombstone: .tombstone
    }
  }

  /// What it belongs to: the payment.
  public var reference: UUID128 {
    switch body {
    case .transfer(_, _, _, _, let reference, _), .reversal(_, _, let reference), .hold(_, _, _, let reference),
      .release(_, _, let reference), .tombstone(let reference):
      reference
    }
  }

  /// What it is to the books: payment_debit, funding, … Nil for a tombstone.
  public var type: String? {
    switch body {
    case .transfer(_, _, _, let type, _, _), .reversal(_, let type, _), .hold(_, _, let type, _), .release(_, let type, _): type
    case .tombstone: nil
    }
  }

  /// The transfer it reverses, or the hold it releases.
  public var linked: TransferID? {
    switch body {
    case .reversal(let target, _, _), .release(let target, _, _): target
    case .transfer, .hold, .tombstone: nil
    }
  }
}
