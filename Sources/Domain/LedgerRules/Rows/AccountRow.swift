public import Money

/// An account as it was opened: a row of `ledger.accounts`. What changes later stands in `ledger.account_events`.
public struct AccountRow: Sendable, Hashable {
  /// 1, 2, 3, … in the order of opening.
  public var number: Int64
  public var id: String
  public var currency: String
  public var policy: BalancePolicy
  public var batchNumber: Int64
  public var createdAt: Timestamp

  public init(number: Int64, id: String, currency: String, policy: BalancePolicy, batchNumber: Int64, createdAt: Timestamp) {
    self.number = number
    self.id = id
    self.currency = currency
    self.policy = policy
    self.batchNumber = batchNumber
    self.createdAt = createdAt
  }
}
