import LedgerRules
import Money
import Testing

@Suite struct PostingRulesTests {
  @Test("a transfer has a debit and a credit of the same amount, and moves both balances")
  func doubleEntry() throws {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let decision = ledger.decide(ledger.transfer(a, b, 30))
    #expect(decision.outcome == .posted && decision.reason == nil && !decision.existed)
    #expect(ledger.balance(a) == 70)
    #expect(ledger.balance(b) == 30)
    let entries = try #require(ledger.batches.last).entries
    #expect(entries.map(\.direction) == [.debit, .credit])
    #expect(entries.map(\.amount) == [30, 30])
    #expect(entries.map(\.accountSequence) == [2, 1])
  }

  @Test("a limited account cannot be overdrawn; an unlimited one can")
  func overdraft() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    #expect(ledger.decide(ledger.transfer(a, b, 101)).reason == .insufficientFunds)
    #expect(ledger.decide(ledger.transfer(a, b, 100)).outcome == .posted)
    #expect(ledger.balance(.externalFunding(TestLedger.gbp)) == -100)
  }

  @Test("each refusal says why")
  func reasons() throws {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let yen = ledger.open("Y", TestLedger.jpy)
    let nobody = try #require(AccountID("NOBODY"))
    #expect(ledger.decide(ledger.transfer(a, nobody, 1)).reason == .accountUnknown)
    #expect(ledger.batches.last?.transfers.last?.unknownAccount == "NOBODY")
    #expect(ledger.decide(ledger.transfer(a, yen, 1)).reason == .currencyMismatch)
    #expect(ledger.decide(ledger.transfer(a, b, 1, TestLedger.jpy)).reason == .currencyMismatch)
    #expect(ledger.decide(ledger.transfer(a, a, 1)).reason == .sameAccount)
    #expect(ledger.decide(ledger.transfer(a, b, 0)).reason == .amountNotPositive)
    #expect(ledger.decide(ledger.transfer(a, b, -1)).reason == .amountNotPositive)
    #expect(ledger.decide(ledger.transfer(a, b, .max)).reason == .insufficientFunds)
    #expect(ledger.decide(ledger.reversal(of: ledger.newID())).reason == .transferUnknown)
    #expect(ledger.decide(ledger.release(of: ledger.newID())).reason == .holdUnknown)
    #expect(ledger.balance(a) == 100)
  }

  @Test("no balance leaves Int64, nor does a balance less its holds")
  func overflow() {
    var ledger = TestLedger()
    let a = ledger.open("A")
    let funding = AccountID.externalFunding(TestLedger.gbp)
    #expect(ledger.decide(ledger.transfer(funding, a, .max)).outcome == .posted)
    #expect(ledger.decide(ledger.transfer(funding, a, 1)).reason == .balanceOverflow)
    #expect(ledger.decide(ledger.hold(funding, 1)).outcome == .posted)
    #expect(ledger.decide(ledger.hold(funding, 1)).reason == .balanceOverflow)
    let b = ledger.open("B")
    #expect(ledger.decide(ledger.transfer(funding, b, 1)).reason == .balanceOverflow)
  }

  @Test("an id is answered the same for ever, and refused with other fields")
  func sticky() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let posted = ledger.transfer(a, b, 60)
    let declined = ledger.transfer(a, b, 60)
    let first = ledger.decide([posted, declined])
    #expect(first.map(\.outcome) == [.posted, .declined])
    #expect(ledger.decide(ledger.transfer(.externalFunding(TestLedger.gbp), a, 1000)).outcome == .posted)
    for _ in 0..<2 {
      let again = ledger.decide([posted, declined])
      #expect(again.map(\.outcome) == [.posted, .declined])
      #expect(again.map(\.existed) == [true, true])
      #expect(again.map(\.bookedAt) == first.map(\.bookedAt))
    }
    let other = ledger.decide(ledger.transfer(a, b, 61, id: posted.id))
    #expect(other.outcome == .declined && other.reason == .existsWithDifferentFields && other.existed)
    #expect(ledger.balance(b) == 60)
  }

  @Test("a tombstone forbids an id; a posting that came first is answered instead")
  func tombstones() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let late = ledger.transfer(a, b, 10)
    let forbidden = ledger.decide(ledger.tombstone(late.id))
    #expect(forbidden.outcome == .tombstone && !forbidden.existed)
    let refused = ledger.decide(late)
    #expect(refused.outcome == .tombstone && refused.reason == .tombstone && refused.existed)
    #expect(ledger.balance(b) == 0)
    let early = ledger.transfer(a, b, 10)
    #expect(ledger.decide(early).outcome == .posted)
    let tooLate = ledger.decide(ledger.tombstone(early.id))
    #expect(tooLate.outcome == .posted && tooLate.existed)
    #expect(ledger.balance(b) == 10)
  }

  @Test("a reversal undoes a transfer whole, once, and is not itself reversible")
  func reversals() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let original = ledger.transfer(a, b, 40)
    #expect(ledger.decide(original).outcome == .posted)
    let undo = ledger.reversal(of: original.id)
    #expect(ledger.decide(undo).outcome == .posted)
    #expect(ledger.balance(a) == 100)
    #expect(ledger.balance(b) == 0)
    #expect(ledger.decide(ledger.reversal(of: original.id)).reason == .alreadyReversed)
    #expect(ledger.decide(ledger.reversal(of: undo.id)).reason == .notReversible)
    let declined = ledger.transfer(b, a, 40)
    #expect(ledger.decide(declined).outcome == .declined)
    #expect(ledger.decide(ledger.reversal(of: declined.id)).reason == .notReversible)
  }

  @Test("a reversal goes through whatever the status, but never overdraws")
  func reversalOfFrozen() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let one = ledger.transfer(a, b, 40)
    let two = ledger.transfer(a, b, 5)
    #expect(ledger.decide([one, two]).map(\.outcome) == [.posted, .posted])
    #expect(ledger.command(a, .setStatus(.frozen)).outcome == .posted)
    #expect(ledger.command(b, .setStatus(.frozen)).outcome == .posted)
    #expect(ledger.decide(ledger.reversal(of: one.id)).outcome == .posted)
    #expect(ledger.command(b, .setStatus(.open)).outcome == .posted)
    #expect(ledger.decide(ledger.transfer(b, .clearing(TestLedger.gbp), 3)).outcome == .posted)
    #expect(ledger.decide(ledger.reversal(of: two.id)).reason == .insufficientFunds)
  }

  @Test("a hold makes money unavailable until its release, once")
  func holds() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let hold = ledger.hold(a, 70)
    #expect(ledger.decide(hold).outcome == .posted)
    #expect(ledger.state.account(a)?.available == 30)
    #expect(ledger.decide(ledger.hold(a, 31)).reason == .insufficientFunds)
    #expect(ledger.decide(ledger.transfer(a, b, 31)).reason == .insufficientFunds)
    #expect(ledger.decide(ledger.release(of: hold.id)).outcome == .posted)
    #expect(ledger.decide(ledger.release(of: hold.id)).reason == .holdResolved)
    #expect(ledger.decide(ledger.transfer(a, b, 100)).outcome == .posted)
    #expect(ledger.decide(ledger.reversal(of: hold.id)).reason == .notReversible)
  }

  @Test("a linked group is all or none, later members see earlier ones, and the one at fault is named")
  func linkedGroups() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let c = ledger.open("C")
    let through = [ledger.transfer(a, b, 80), ledger.transfer(b, c, 80), ledger.hold(c, 80)]
    #expect(ledger.decide(through, linked: true).map(\.outcome) == [.posted, .posted, .posted])
    #expect(ledger.batches.last?.transfers.map(\.groupPosition) == [0, 0, 0])
    let failing = [ledger.transfer(a, b, 20), ledger.transfer(c, b, 1), ledger.transfer(b, a, 1)]
    let refused = ledger.decide(failing, linked: true)
    #expect(refused.map(\.reason) == [.linkedDeclined, .insufficientFunds, .linkedDeclined])
    #expect(ledger.batches.last?.entries.isEmpty == true)
    #expect([a, b, c].map { ledger.balance($0) } == [20, 0, 80])
    #expect(ledger.decide(failing, linked: true).map(\.existed) == [true, true, true])
    #expect(ledger.decide(failing[0]).reason == .linkedDeclined)
  }

  @Test("a linked group with a member that was tombstoned or posted before does nothing more")
  func linkedGroupWithHistory() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let group = [ledger.transfer(a, b, 10), ledger.hold(b, 10)]
    #expect(ledger.decide(ledger.tombstone(group[1].id)).outcome == .tombstone)
    let late = ledger.decide(group, linked: true)
    #expect(late.map(\.outcome) == [.declined, .tombstone])
    #expect(late.map(\.reason) == [.linkedDeclined, .tombstone])
    #expect(ledger.balance(b) == 0)
    let twice = ledger.transfer(a, b, 10)
    #expect(ledger.decide([twice, twice], linked: true).map(\.reason) == [.linkedDeclined, .linkedDeclined])
    #expect(ledger.balance(b) == 0)
  }

  @Test("a credit that is held is taken back by releasing and reversing in one group")
  func reversalOfHeldCredit() {
    var ledger = TestLedger()
    let b = ledger.open("B")
    let clearing = AccountID.clearing(TestLedger.gbp)
    let credit = ledger.transfer(clearing, b, 50)
    let hold = ledger.hold(b, 50)
    #expect(ledger.decide([credit, hold], linked: true).map(\.outcome) == [.posted, .posted])
    #expect(ledger.decide(ledger.transfer(b, clearing, 1)).reason == .insufficientFunds)
    #expect(ledger.command(b, .setStatus(.frozen)).outcome == .posted)
    #expect(ledger.decide(ledger.reversal(of: credit.id)).reason == .insufficientFunds)
    let undo = [ledger.release(of: hold.id), ledger.reversal(of: credit.id)]
    #expect(ledger.decide(undo, linked: true).map(\.outcome) == [.posted, .posted])
    #expect(ledger.balance(b) == 0)
    #expect(ledger.balance(clearing) == 0)
  }

  @Test("a frozen or closed account refuses transfers both ways and holds")
  func status() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    let hold = ledger.hold(a, 10)
    #expect(ledger.decide(hold).outcome == .posted)
    #expect(ledger.command(a, .setStatus(.frozen)).outcome == .posted)
    #expect(ledger.decide(ledger.transfer(a, b, 1)).reason == .accountFrozen)
    #expect(ledger.decide(ledger.transfer(.clearing(TestLedger.gbp), a, 1)).reason == .accountFrozen)
    #expect(ledger.decide(ledger.hold(a, 1)).reason == .accountFrozen)
    #expect(ledger.command(a, .setStatus(.closed)).reason == .balanceNotZero)
    #expect(ledger.decide(ledger.release(of: hold.id)).outcome == .posted)
    #expect(ledger.command(a, .setStatus(.open)).outcome == .posted)
    #expect(ledger.decide(ledger.transfer(a, b, 100)).outcome == .posted)
    #expect(ledger.command(a, .setStatus(.closed)).outcome == .posted)
    #expect(ledger.decide(ledger.transfer(b, a, 1)).reason == .accountClosed)
    #expect(ledger.command(a, .setStatus(.open)).reason == .accountClosed)
  }

  @Test("an account is opened once; the same event answers the same, another one is refused")
  func opening() throws {
    var ledger = TestLedger()
    let account = try #require(AccountID("A"))
    let event = UUID128.random()
    let open = AccountCommand.Change.open(currency: TestLedger.gbp, policy: .limited)
    #expect(ledger.command(account, open, id: event).outcome == .posted)
    let again = ledger.command(account, open, id: event)
    #expect(again.outcome == .posted && again.existed)
    #expect(ledger.command(account, open).reason == .accountExists)
    #expect(ledger.command(account, .setStatus(.frozen), id: event).reason == .existsWithDifferentFields)
    let nobody = try #require(AccountID("NOBODY"))
    #expect(ledger.command(nobody, .setStatus(.frozen)).reason == .accountUnknown)
    #expect(ledger.state.accounts.count == 1)
  }

  @Test("booking time rises with every batch, also when the clock does not")
  func bookingTime() {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    var last = ledger.decide(ledger.transfer(a, b, 1)).bookedAt
    for _ in 0..<10 {
      ledger.now = ledger.now.adding(seconds: -100)
      let next = ledger.decide(ledger.transfer(a, b, 1)).bookedAt
      #expect(next > last)
      last = next
    }
  }

  @Test("an account is due for a checkpoint after 64 movements, and then not until 64 more")
  func checkpoints() throws {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 1000)
    let b = ledger.open("B")
    for _ in 0..<63 { #expect(ledger.decide(ledger.transfer(a, b, 1)).outcome == .posted) }
    let due = ledger.state.takeCheckpoints(limit: 10)
    #expect(due.map(\.accountNumber) == [3])
    #expect(due.first?.balance == 937)
    #expect(due.first?.accountSequence == 64)
    #expect(ledger.state.takeCheckpoints(limit: 10).isEmpty)
    #expect(ledger.decide(ledger.transfer(a, b, 1)).outcome == .posted)
    #expect(ledger.state.takeCheckpoints(limit: 10).map(\.accountNumber) == [4])
  }
}
