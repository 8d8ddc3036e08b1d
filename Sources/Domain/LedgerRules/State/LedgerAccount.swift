public import Money

/// What the sequencer knows of an account: as of the last batch decided, derived from the ledger's rows and from nothing else.
public struct LedgerAccount: Sendable, Hashable {
  /// `ledger.accounts.account_no`.
  public let number: Int64
  public let id: AccountID
  public let currency: Currency
  public let policy: BalancePolicy
  public var status: AccountStatus
  /// Credits minus debits, in minor units.
  public var balance: Int64
  /// Sum of the open holds, in minor units.
  public var held: Int64
  /// Of the last entry; 0 if there is none.
  public var sequence: Int64
  /// Entries, holds and releases since the newest checkpoint.
  public var movementsSinceCheckpoint: Int64

  public init(
    number: Int64, id: AccountID, currency: Currency, policy: BalancePolicy, status: AccountStatus = .open, balance: Int64 = 0,
    held: Int64 = 0, sequence: Int64 = 0, movementsSinceCheckpoint: Int64 = 0
  ) {
    self.number = number
    self.id = id
    self.currency = currency
    self.policy = policy
    self.status = status
    self.balance = balance
    self.held = held
    self.sequence = sequence
    self.movementsSinceCheckpoint = movementsSinceCheckpoint
  }

  /// Posted minus held. Cannot overflow: no movement is accepted after which it would.
  public var available: Int64 { balance - held }

  /// Why a debit of the amount is refused by the balance, or nil.
  func refusesDebit(of amount: Int64) -> DeclineReason? {
    let (next, overflow) = balance.subtractingReportingOverflow(amount)
    let (rest, restOverflow) = next.subtractingReportingOverflow(held)
    if policy == .limited { return overflow || restOverflow || rest < 0 ? .insufficientFunds : nil }
    return overflow || restOverflow ? .balanceOverflow : nil
  }

  func refusesCredit(of amount: Int64) -> DeclineReason? {
    balance.addingReportingOverflow(amount).overflow ? .balanceOverflow : nil
  }

  func refusesHold(of amount: Int64) -> DeclineReason? {
    let (next, overflow) = held.addingReportingOverflow(amount)
    let (rest, restOverflow) = balance.subtractingReportingOverflow(next)
    if overflow || restOverflow { return policy == .limited ? .insufficientFunds : .balanceOverflow }
    return policy == .limited && rest < 0 ? .insufficientFunds : nil
  }

  /// Why its status refuses transfers and holds, or nil.
  var refusedByStatus: DeclineReason? {
    switch status {
    case .open: nil
    case .frozen: .accountFrozen
    case .closed: .accountClosed
    }
  }
}
