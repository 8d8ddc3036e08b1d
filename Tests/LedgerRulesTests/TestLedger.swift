import LedgerRules
import Money

/// A ledger in memory for tests: decides requests in batches, keeps the rows as the database would, and answers look-ups from them.
struct TestLedger {
  var state: LedgerState
  var now = Timestamp(microseconds: 1_800_000_000_000_000)
  private(set) var batches: [Batch] = []
  private(set) var rows: [UUID128: TransferRow] = [:]
  private(set) var events: [UUID128: AccountEventRow] = [:]
  private(set) var resolvedBy: [UUID128: UUID128] = [:]

  static let gbp = Currency(code: "GBP")!
  static let jpy = Currency(code: "JPY")!
  static let genesis = LedgerState.Head(number: 0, hash: BatchHeader.genesisHash, createdAt: Timestamp(microseconds: 0))

  init(limits: LedgerState.Limits = .init()) {
    state = LedgerState(head: Self.genesis, epoch: 1, recentFrom: Timestamp(microseconds: 0), limits: limits)
  }

  /// Decides the requests in one batch.
  mutating func decide(_ requests: [LedgerRequest]) -> [[Decision]] {
    now = now.adding(seconds: 1)
    let unknowns = state.unknowns(of: requests)
    var briefing = Briefing()
    for id in unknowns.transfers { briefing.transfers[id] = fact(id) }
    for id in unknowns.events { briefing.events[id] = eventFact(id) }
    state.begin(at: now, knowing: briefing)
    let decisions = requests.map { state.decide($0) }
    guard let batch = state.finish() else { return decisions }
    batches.append(batch)
    for row in batch.transfers {
      precondition(rows.updateValue(row, forKey: row.id) == nil, "two rows under one id")
      if row.outcome == .posted, let linked = row.linked {
        precondition(resolvedBy.updateValue(row.id, forKey: linked) == nil, "resolved twice")
      }
    }
    for row in batch.events { precondition(events.updateValue(row, forKey: row.id) == nil, "two events under one id") }
    return decisions
  }

  mutating func decide(_ postings: [Posting], linked: Bool = false) -> [Decision] {
    decide([LedgerRequest(.post(postings, linked: linked), requestedBy: "payment")])[0]
  }

  mutating func decide(_ posting: Posting) -> Decision { decide([posting])[0] }

  mutating func command(_ account: AccountID, _ change: AccountCommand.Change, id: UUID128 = .random()) -> Decision {
    decide([LedgerRequest(.command([AccountCommand(eventID: id, account: account, change: change)]), requestedBy: "account")])[0][0]
  }

  /// Opens a limited account and, if asked, funds it.
  @discardableResult
  mutating func open(_ name: String, _ currency: Currency = gbp, funded: Int64 = 0) -> AccountID {
    let account = AccountID(name)!
    let funding = AccountID.externalFunding(currency)
    if state.account(funding) == nil {
      precondition(command(funding, .open(currency: currency, policy: .unlimited)).outcome == .posted)
      precondition(command(.clearing(currency), .open(currency: currency, policy: .unlimited)).outcome == .posted)
    }
    precondition(command(account, .open(currency: currency, policy: .limited)).outcome == .posted)
    if funded > 0 { precondition(decide(transfer(funding, account, funded, currency)).outcome == .posted) }
    return account
  }

  func newID() -> TransferID { TransferID(.timeOrdered(at: now))! }

  func transfer(_ debit: AccountID, _ credit: AccountID, _ amount: Int64, _ currency: Currency = gbp, id: TransferID? = nil) -> Posting {
    Posting(
      id: id ?? newID(),
      body: .transfer(
        debit: debit, credit: credit, amount: Amount(minorUnits: amount, currency: currency), type: "payment_debit",
        reference: Self.reference, valueDate: nil))
  }

  func reversal(of id: TransferID) -> Posting { Posting(id: newID(), body: .reversal(of: id, type: "undo", reference: Self.reference)) }

  func hold(_ account: AccountID, _ amount: Int64, _ currency: Currency = gbp) -> Posting {
    Posting(
      id: newID(),
      body: .hold(account: account, amount: Amount(minorUnits: amount, currency: currency), type: "hold", reference: Self.reference))
  }

  func release(of id: TransferID) -> Posting { Posting(id: newID(), body: .release(of: id, type: "release", reference: Self.reference)) }

  func tombstone(_ id: TransferID) -> Posting { Posting(id: id, body: .tombstone(reference: Self.reference)) }

  func balance(_ account: AccountID) -> Int64? { state.account(account)?.balance }

  static let reference = UUID128.random()

  private func fact(_ id: UUID128) -> TransferFact? {
    rows[id].map { row in
      TransferFact(
        kind: row.kind, outcome: row.outcome, reason: row.reason.flatMap(DeclineReason.init),
        fingerprint: Fingerprint(bytes: row.fingerprint)!, bookedAt: row.createdAt, batchNumber: row.batchNumber, debit: row.debit,
        credit: row.credit, amount: row.amount, resolvedBy: resolvedBy[id])
    }
  }

  private func eventFact(_ id: UUID128) -> AccountEventFact? {
    events[id].map { row in
      AccountEventFact(
        outcome: row.outcome, reason: row.reason.flatMap(DeclineReason.init), fingerprint: Fingerprint(bytes: row.fingerprint)!,
        bookedAt: row.createdAt, batchNumber: row.batchNumber)
    }
  }
}
