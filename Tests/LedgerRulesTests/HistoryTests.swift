import LedgerRules
import Money
import Testing

/// Random histories, decided by the rules and by the naive model; every answer and every balance must agree.
@Suite struct HistoryTests {
  @Test("over random histories, the rules and a naive sum of entries agree on every answer and every balance")
  func agreement() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("LedgerRules histories: seed \(seed)")
    for number in 0..<80 {
      try playHistory(seed: seed &+ UInt64(number))
    }
  }

  private func playHistory(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    // A window so small that most of what is asked for has to be looked up.
    var ledger = TestLedger(limits: .init(recentTransfers: 16, recentEvents: 4))
    var model = NaiveLedger()
    let accounts = ["A", "B", "C"].map { ledger.open($0) } + [ledger.open("Y", TestLedger.jpy)]
    for account in ledger.state.accounts { model.accounts[account.id] = (account.currency, account.policy, account.status) }
    let everyone = accounts + [.clearing(TestLedger.gbp), .externalFunding(TestLedger.gbp), AccountID("NOBODY")!]
    var sent: [Posting] = []
    for _ in 0..<40 {
      var requests: [LedgerRequest] = []
      var expected: [[(PostingOutcome, DeclineReason?)]] = []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        if random.chance(6) {
          let account = everyone.randomElement(using: &random)!
          let status = AccountStatus.allCases.randomElement(using: &random)!
          requests.append(
            LedgerRequest(
              .command([AccountCommand(eventID: .random(using: &random), account: account, change: .setStatus(status))]),
              requestedBy: "account"))
          expected.append([model.setStatus(account, status)])
          continue
        }
        let postings = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          let posting = randomPosting(ledger, everyone, sent, &random)
          sent.append(posting)
          return posting
        }
        let linked = random.chance(40) && Set(postings.map(\.id)).count == postings.count
        requests.append(LedgerRequest(.post(postings, linked: linked), requestedBy: "payment"))
        expected.append(linked && postings.count > 1 ? model.postLinked(postings) : postings.map { model.post($0) })
      }
      let decisions = ledger.decide(requests)
      for (got, wanted) in zip(decisions, expected) {
        #expect(got.map(\.outcome) == wanted.map(\.0), "seed \(seed)")
        #expect(got.map(\.reason) == wanted.map(\.1), "seed \(seed)")
      }
      for account in ledger.state.accounts {
        #expect(account.balance == model.balance(account.id), "seed \(seed), \(account.id)")
        #expect(account.held == model.held(account.id), "seed \(seed), \(account.id)")
      }
    }
    try checkRows(of: ledger, seed)
  }

  private func randomPosting(
    _ ledger: TestLedger, _ accounts: [AccountID], _ sent: [Posting], _ random: inout SeededGenerator
  ) -> Posting {
    let earlier = sent.suffix(30).randomElement(using: &random) ?? sent.last
    if let earlier, random.chance(10) { return earlier }
    let time = Timestamp(microseconds: ledger.now.microseconds - Int64.random(in: 0..<20_000_000, using: &random))
    let fresh = TransferID(.timeOrdered(at: time, using: &random))!
    let id = random.chance(4) ? earlier?.id ?? fresh : fresh
    let target = earlier?.id ?? fresh
    let amount = Amount(
      minorUnits: random.chance(3) ? 0 : Int64.random(in: 1...60, using: &random),
      currency: random.chance(5) ? TestLedger.jpy : TestLedger.gbp)
    let reference = TestLedger.reference
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<45:
      return Posting(
        id: id,
        body: .transfer(
          debit: accounts.randomElement(using: &random)!, credit: accounts.randomElement(using: &random)!, amount: amount,
          type: "payment_debit", reference: reference, valueDate: nil))
    case 45..<60: return Posting(id: id, body: .reversal(of: target, type: "undo", reference: reference))
    case 60..<77:
      return Posting(
        id: id, body: .hold(account: accounts.randomElement(using: &random)!, amount: amount, type: "hold", reference: reference))
    case 77..<94: return Posting(id: id, body: .release(of: target, type: "release", reference: reference))
    default: return Posting(id: id, body: .tombstone(reference: reference))
    }
  }

  /// What a verifier would check of the rows themselves.
  private func checkRows(of ledger: TestLedger, _ seed: UInt64) throws {
    var balances: [Int64: Int64] = [:]
    var sequences: [Int64: Int64] = [:]
    var held: [Int64: Int64] = [:]
    let limited = Set(ledger.state.accounts.filter { $0.policy == .limited }.map(\.number))
    for batch in ledger.batches {
      var entries = batch.entries[...]
      for row in batch.transfers where row.outcome == .posted {
        switch row.kind {
        case .hold: held[row.debit!, default: 0] += row.amount!
        case .release: held[row.debit!, default: 0] -= row.amount!
        case .transfer, .reversal:
          let legs = entries.prefix(2)
          entries = entries.dropFirst(2)
          #expect(legs.map(\.transferID) == [row.id, row.id])
          #expect(legs.reduce(0) { $0 + $1.direction.sign * $1.amount } == 0)
          for leg in legs {
            balances[leg.accountNumber, default: 0] += leg.direction.sign * leg.amount
            sequences[leg.accountNumber, default: 0] += 1
            #expect(leg.accountSequence == sequences[leg.accountNumber])
          }
        case .tombstone: Issue.record("a posted tombstone, seed \(seed)")
        }
        for number in limited {
          #expect(balances[number, default: 0] - held[number, default: 0] >= 0, "overdrawn at a prefix of history, seed \(seed)")
        }
      }
      #expect(entries.isEmpty)
    }
    #expect(balances.values.reduce(0, +) == 0)
  }
}
