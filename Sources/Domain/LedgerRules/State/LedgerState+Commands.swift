internal import Money

extension LedgerState {
  mutating func decide(_ command: AccountCommand, by requester: String) -> Decision {
    if let fact = eventFact(command.eventID) { return fact.answer(to: command) }
    var row = AccountEventRow(
      id: command.eventID, batchNumber: draft.number, position: draft.nextPosition, kind: command.kind, outcome: .posted,
      accountNumber: numbers[command.account], accountID: command.account.name, status: .open, requestedBy: requester,
      fingerprint: command.fingerprint.bytes, createdAt: draft.bookedAt)
    let reason: DeclineReason?
    switch command.change {
    case .open(let currency, let policy):
      row.currency = currency.code
      row.policy = policy
      reason = row.accountNumber == nil ? nil : .accountExists
      if reason == nil { row.accountNumber = open(command.account, currency, policy) }
    case .setStatus(let status):
      row.status = status
      reason = refusal(ofStatus: status, account: row.accountNumber)
      if reason == nil, let number = row.accountNumber { accounts[Int(number) - 1].status = status }
    }
    if let reason {
      row.outcome = .declined
      row.reason = reason.rawValue
    }
    draft.events.append(row)
    setEventFact(
      row.id,
      AccountEventFact(
        outcome: row.outcome, reason: reason, fingerprint: command.fingerprint, bookedAt: row.createdAt,
        batchNumber: row.batchNumber))
    return Decision(outcome: row.outcome, reason: reason, bookedAt: row.createdAt, batchNumber: row.batchNumber, existed: false)
  }

  private mutating func open(_ id: AccountID, _ currency: Currency, _ policy: BalancePolicy) -> Int64 {
    let number = Int64(accounts.count) + 1
    accounts.append(LedgerAccount(number: number, id: id, currency: currency, policy: policy))
    numbers[id] = number
    draft.accounts.append(
      AccountRow(
        number: number, id: id.name, currency: currency.code, policy: policy, batchNumber: draft.number, createdAt: draft.bookedAt))
    return number
  }

  private func refusal(ofStatus status: AccountStatus, account number: Int64?) -> DeclineReason? {
    guard let number else { return .accountUnknown }
    let account = accounts[Int(number) - 1]
    if account.status == .closed && status != .closed { return .accountClosed }
    if status == .closed && (account.balance != 0 || account.held != 0) { return .balanceNotZero }
    return nil
  }
}
