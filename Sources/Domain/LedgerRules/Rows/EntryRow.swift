public import Money

/// One leg of a posted transfer or reversal: a row of `ledger.entries`. There is no balance in it.
public struct EntryRow: Sendable, Hashable {
  public var accountNumber: Int64
  /// 1, 2, 3, … in each account.
  public var accountSequence: Int64
  public var direction: EntryDirection
  /// Minor units, above zero.
  public var amount: Int64
  public var transferID: UUID128
  public var createdAt: Timestamp

  public init(
    accountNumber: Int64, accountSequence: Int64, direction: EntryDirection, amount: Int64, transferID: UUID128, createdAt: Timestamp
  ) {
    self.accountNumber = accountNumber
    self.accountSequence = accountSequence
    self.direction = direction
    self.amount = amount
    self.transferID = transferID
    self.createdAt = createdAt
  }
}
