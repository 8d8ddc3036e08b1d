import LedgerRules
import Money

/// The rules once more, as plainly as can be: a list of what was posted, and every balance a sum over it.
struct NaiveLedger {
  struct Row {
    var id: UUID128
    var posting: Posting?
    var fingerprint: Fingerprint
    var kind: PostingKind
    var outcome: PostingOutcome
    var reason: DeclineReason?
    /// Account, and what it adds to the balance and to the holds.
    var effects: [(account: AccountID, balance: Int64, held: Int64)] = []
    var linked: UUID128?
    var amount: Int64 = 0
  }

  var accounts: [AccountID: (currency: Currency, policy: BalancePolicy, status: AccountStatus)] = [:]
  var rows: [Row] = []

  func row(_ id: UUID128) -> Row? { rows.first { $0.id == id } }
  func balance(_ account: AccountID) -> Int64 { rows.flatMap(\.effects).filter { $0.account == account }.reduce(0) { $0 + $1.balance } }
  func held(_ account: AccountID) -> Int64 { rows.flatMap(\.effects).filter { $0.account == account }.reduce(0) { $0 + $1.held } }

  mutating func post(_ posting: Posting) -> (PostingOutcome, DeclineReason?) {
    if let row = row(posting.id.uuid) { return answer(row, posting) }
    let row = judged(posting)
    rows.append(row)
    return (row.outcome, row.reason)
  }

  mutating func postLinked(_ postings: [Posting]) -> [(PostingOutcome, DeclineReason?)] {
    let known = postings.filter { row($0.id.uuid) != nil }.count
    if known == postings.count { return postings.map { answer(row($0.id.uuid)!, $0) } }
    let before = rows
    var culprit: (UUID128, DeclineReason)?
    var answers: [(PostingOutcome, DeclineReason?)] = []
    if known == 0 {
      for posting in postings {
        let row = judged(posting)
        if row.outcome == .declined {
          culprit = (posting.id.uuid, row.reason!)
          break
        }
        rows.append(row)
        answers.append((row.outcome, row.reason))
      }
      if culprit == nil { return answers }
      rows = before
    }
    return postings.map { posting in
      if let row = row(posting.id.uuid) { return answer(row, posting) }
      let reason = culprit.flatMap { $0.0 == posting.id.uuid ? $0.1 : nil } ?? .linkedDeclined
      rows.append(declined(posting, reason))
      return (.declined, reason)
    }
  }

  mutating func setStatus(_ account: AccountID, _ status: AccountStatus) -> (PostingOutcome, DeclineReason?) {
    guard let known = accounts[account] else { return (.declined, .accountUnknown) }
    if known.status == .closed && status != .closed { return (.declined, .accountClosed) }
    if status == .closed && (balance(account) != 0 || held(account) != 0) { return (.declined, .balanceNotZero) }
    accounts[account]?.status = status
    return (.posted, nil)
  }

  private func answer(_ row: Row, _ posting: Posting) -> (PostingOutcome, DeclineReason?) {
    if row.outcome == .tombstone { return (.tombstone, .tombstone) }
    if posting.kind == .tombstone || row.fingerprint == posting.fingerprint { return (row.outcome, row.reason) }
    return (.declined, .existsWithDifferentFields)
  }

  private func declined(_ posting: Posting, _ reason: DeclineReason) -> Row {
    Row(id: posting.id.uuid, fingerprint: posting.fingerprint, kind: posting.kind, outcome: .declined, reason: reason)
  }

  private func judged(_ posting: Posting) -> Row {
    var row = Row(id: posting.id.uuid, posting: posting, fingerprint: posting.fingerprint, kind: posting.kind, outcome: .posted)
    row.linked = posting.linked?.uuid
    func no(_ reason: DeclineReason) -> Row { declined(posting, reason) }
    func mayUse(_ id: AccountID, _ amount: Amount) -> DeclineReason? {
      guard let account = accounts[id] else { return .accountUnknown }
      if account.currency != amount.currency { return .currencyMismatch }
      return account.status == .frozen ? .accountFrozen : account.status == .closed ? .accountClosed : nil
    }
    func covers(_ id: AccountID, _ amount: Int64) -> Bool {
      accounts[id]!.policy == .unlimited || balance(id) - held(id) >= amount
    }
    switch posting.body {
    case .transfer(let debit, let credit, let amount, _, _, _):
      if amount.minorUnits <= 0 { return no(.amountNotPositive) }
      if debit == credit { return no(.sameAccount) }
      if let reason = mayUse(debit, amount) ?? mayUse(credit, amount) { return no(reason) }
      if !covers(debit, amount.minorUnits) { return no(.insufficientFunds) }
      row.amount = amount.minorUnits
      row.effects = [(debit, -amount.minorUnits, 0), (credit, amount.minorUnits, 0)]
    case .reversal(let target, _, _):
      guard let original = self.row(target.uuid) else { return no(.transferUnknown) }
      if original.kind != .transfer || original.outcome != .posted { return no(.notReversible) }
      if rows.contains(where: { $0.linked == target.uuid && $0.outcome == .posted }) { return no(.alreadyReversed) }
      if !covers(original.effects[1].account, original.amount) { return no(.insufficientFunds) }
      row.amount = original.amount
      row.effects = original.effects.map { ($0.account, -$0.balance, 0) }
    case .hold(let account, let amount, _, _):
      if amount.minorUnits <= 0 { return no(.amountNotPositive) }
      if let reason = mayUse(account, amount) { return no(reason) }
      if !covers(account, amount.minorUnits) { return no(.insufficientFunds) }
      row.amount = amount.minorUnits
      row.effects = [(account, 0, amount.minorUnits)]
    case .release(let target, _, _):
      guard let hold = self.row(target.uuid), hold.kind == .hold, hold.outcome == .posted else { return no(.holdUnknown) }
      if rows.contains(where: { $0.linked == target.uuid && $0.outcome == .posted }) { return no(.holdResolved) }
      row.effects = [(hold.effects[0].account, 0, -hold.amount)]
    case .tombstone: row.outcome = .tombstone
    }
    return row
  }
}
