internal import Money

/// What an acceptable posting will do.
enum Movement {
  case money(debit: Int64, credit: Int64, amount: Int64, currency: String)
  case hold(account: Int64, amount: Int64, currency: String)
  case release(account: Int64, amount: Int64, currency: String)
  case tombstone
}

/// Why a posting is not acceptable.
struct Refusal: Error {
  var reason: DeclineReason
  var unknownAccount: AccountID?

  init(_ reason: DeclineReason, unknownAccount: AccountID? = nil) {
    self.reason = reason
    self.unknownAccount = unknownAccount
  }
}

extension LedgerState {
  /// The rules. Changes nothing.
  func judge(_ posting: Posting) -> Result<Movement, Refusal> {
    do throws(Refusal) {
      switch posting.body {
      case .transfer(let debit, let credit, let amount, _, _, _):
        return .success(try judgeTransfer(debit, credit, amount))
      case .reversal(let target, _, _): return .success(try judgeReversal(of: target))
      case .hold(let account, let amount, _, _): return .success(try judgeHold(account, amount))
      case .release(let target, _, _): return .success(try judgeRelease(of: target))
      case .tombstone: return .success(.tombstone)
      }
    } catch {
      return .failure(error)
    }
  }

  private func judgeTransfer(_ debitID: AccountID, _ creditID: AccountID, _ amount: Amount) throws(Refusal) -> Movement {
    guard amount.minorUnits > 0 else { throw Refusal(.amountNotPositive) }
    guard debitID != creditID else { throw Refusal(.sameAccount) }
    let debit = try usable(debitID, for: amount)
    let credit = try usable(creditID, for: amount)
    try moneyMoves(from: debit, to: credit, amount.minorUnits)
    return .money(debit: debit.number, credit: credit.number, amount: amount.minorUnits, currency: amount.currency.code)
  }

  /// Whatever the status of the accounts; but a limited account still cannot be overdrawn by it.
  private func judgeReversal(of target: TransferID) throws(Refusal) -> Movement {
    guard let original = fact(target.uuid) else { throw Refusal(.transferUnknown) }
    guard original.kind == .transfer, original.outcome == .posted, let debit = original.debit, let credit = original.credit,
      let amount = original.amount
    else { throw Refusal(.notReversible) }
    guard original.resolvedBy == nil else { throw Refusal(.alreadyReversed) }
    let payee = accounts[Int(credit) - 1]
    try moneyMoves(from: payee, to: accounts[Int(debit) - 1], amount)
    return .money(debit: credit, credit: debit, amount: amount, currency: payee.currency.code)
  }

  private func judgeHold(_ id: AccountID, _ amount: Amount) throws(Refusal) -> Movement {
    guard amount.minorUnits > 0 else { throw Refusal(.amountNotPositive) }
    let account = try usable(id, for: amount)
    if let reason = account.refusesHold(of: amount.minorUnits) { throw Refusal(reason) }
    return .hold(account: account.number, amount: amount.minorUnits, currency: amount.currency.code)
  }

  private func judgeRelease(of target: TransferID) throws(Refusal) -> Movement {
    guard let hold = fact(target.uuid), hold.kind == .hold, hold.outcome == .posted, let number = hold.debit,
      let amount = hold.amount
    else { throw Refusal(.holdUnknown) }
    guard hold.resolvedBy == nil else { throw Refusal(.holdResolved) }
    return .release(account: number, amount: amount, currency: accounts[Int(number) - 1].currency.code)
  }

  private func usable(_ id: AccountID, for amount: Amount) throws(Refusal) -> LedgerAccount {
    guard let account = account(id) else { throw Refusal(.accountUnknown, unknownAccount: id) }
    guard account.currency == amount.currency else { throw Refusal(.currencyMismatch) }
    if let reason = account.refusedByStatus { throw Refusal(reason) }
    return account
  }

  private func moneyMoves(from debit: LedgerAccount, to credit: LedgerAccount, _ amount: Int64) throws(Refusal) {
    if let reason = debit.refusesDebit(of: amount) ?? credit.refusesCredit(of: amount) { throw Refusal(reason) }
  }
}
