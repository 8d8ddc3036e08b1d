import FlorinAPI
import LedgerService
import MeshProtocol
import Money
import Testing

@Suite struct PostingTests {
  @Test("opening an account opens clearing and external funding of its currency, once; funding is double entry")
  func openAndFund() async throws {
    try await LedgerFixture.run { ledger in
      let event = UUID128.random()
      let opened = try await ledger.open("ACC1", event: event)
      #expect(opened.outcome == .posted && !opened.existed)
      let again = try await ledger.open("ACC1", event: event)
      #expect(again.outcome == .posted && again.existed && again.batchNumber == opened.batchNumber)
      #expect(try await ledger.open("ACC1").reason == .accountExists)
      #expect(try await ledger.open("ACC2").outcome == .posted)
      #expect(try await ledger.fund("ACC1", 10_000).outcome == .posted)
      #expect(try await ledger.posted("ACC1") == 10_000)
      #expect(try await ledger.posted("external:funding:GBP") == -10_000)
      #expect(try await ledger.posted("clearing:GBP") == 0)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.accounts") == 4)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.entries") == 2)
      #expect(try await ledger.fund("NOBODY", 1).reason == .accountUnknown)
      #expect(try await ledger.fund("ACC1", 1, currency: "EUR").reason == .accountUnknown)
    }
  }

  @Test("256 callers at once share batches; every transfer is booked once and no money is made or lost")
  func concurrentCallers() async throws {
    try await LedgerFixture.run { ledger in
      for account in ["A", "B", "C"] {
        try await ledger.open(account)
        try await ledger.fund(account, 1000)
      }
      let batches = try await ledger.number("SELECT count(*) AS n FROM ledger.batches")
      let posted = try await withThrowingTaskGroup(of: LedgerAPI.Outcome.self) { group in
        let names = ["A", "B", "C"]
        for caller in 0..<256 {
          group.addTask { try await ledger.post(Make.transfer(names[caller % 3], names[(caller + 1) % 3], Int64(caller % 20) + 1)).outcome }
        }
        return try await group.reduce(0) { $0 + ($1 == .posted ? 1 : 0) }
      }
      #expect(posted > 200)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.transfers") == 256 + 3)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.transfers WHERE outcome = 'posted'") == Int64(posted) + 3)
      let used = try await ledger.number("SELECT count(*) AS n FROM ledger.batches") - batches
      #expect(used < 256, "\(used) batches for 256 callers")
      let sum = try await ledger.posted("A") + ledger.posted("B") + ledger.posted("C")
      #expect(sum == 3000)
      #expect(
        try await ledger.number("SELECT count(*) AS n FROM ledger.audit_log WHERE action = 'ledger.post'")
          == ledger.number("SELECT count(*) AS n FROM ledger.batches WHERE transfer_count + event_count > 0"))
      #expect(
        try await ledger.number("SELECT count(*) AS n FROM ledger.outbox")
          == ledger.number("SELECT count(*) AS n FROM ledger.batches WHERE transfer_count + event_count > 0"))
    }
  }

  @Test("a thousand postings in one request are answered in their order")
  func thousandPostings() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 999)
      let postings = (0..<1000).map { _ in Make.transfer("A", "clearing:GBP", 1) }
      let results = try await ledger.post(postings)
      #expect(results.map(\.id) == postings.map(\.id))
      #expect(results.map(\.outcome) == Array(repeating: .posted, count: 999) + [.declined])
      let refund = (0..<1000).map { _ in Make.transfer("clearing:GBP", "A", 1) }
      #expect(try await ledger.post(refund, linked: true).allSatisfy { $0.outcome == .posted })
      #expect(try await ledger.posted("A") == 1000)
    }
  }

  @Test("an id is answered from its row, also long after it left the memory, and refused with other fields")
  func stickyOutcomes() async throws {
    var configuration = Sequencer.Configuration()
    configuration.recentTransfers = 8
    try await LedgerFixture.run(configuration: configuration) { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 100)
      let posted = Make.transfer("A", "B", 60)
      let declined = Make.transfer("A", "B", 60)
      let first = try await ledger.post([posted, declined])
      #expect(first.map(\.outcome) == [.posted, .declined])
      #expect(first.map(\.existed) == [false, false])
      // Ids of later seconds push these two out.
      try await Task.sleep(for: .milliseconds(1100))
      for _ in 0..<20 { try await ledger.fund("A", 100) }
      let again = try await ledger.post([posted, declined])
      #expect(again.map(\.outcome) == [.posted, .declined])
      #expect(again.map(\.existed) == [true, true])
      #expect(again.map(\.bookedAtUnixMicroseconds) == first.map(\.bookedAtUnixMicroseconds))
      let other = try await ledger.post(Make.transfer("A", "B", 61, id: posted.id))
      #expect(other.reason == .existsWithDifferentFields)
      #expect(try await ledger.post(Make.reversal(of: posted.id)).outcome == .posted)
      #expect(try await ledger.post(Make.reversal(of: posted.id)).reason == .alreadyReversed)
      #expect(try await ledger.posted("B") == 0)
    }
  }

  @Test("a tombstone before the original forbids it; after it, the original is answered")
  func tombstones() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 100)
      let late = Make.transfer("A", "clearing:GBP", 10)
      let tombstone = try await ledger.post(Make.tombstone(late.id))
      #expect(tombstone.outcome == .tombstone && !tombstone.existed)
      let refused = try await ledger.post(late)
      #expect(refused.outcome == .tombstone && refused.reason == .tombstone && refused.existed)
      #expect(try await ledger.transfer(late.id).outcome == .tombstone)
      let early = Make.transfer("A", "clearing:GBP", 10)
      #expect(try await ledger.post(early).outcome == .posted)
      #expect(try await ledger.post(Make.tombstone(early.id)).outcome == .posted)
      #expect(try await ledger.posted("A") == 90)
      #expect(try await ledger.transfer(Make.id()).outcome == .unknown)
    }
  }

  @Test("tombstones and originals race for the same ids: exactly one wins each, and the money agrees")
  func tombstoneRace() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1000)
      let originals = (0..<100).map { _ in Make.transfer("A", "clearing:GBP", 1) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for original in originals {
          group.addTask { try await ledger.post(original) }
          group.addTask { try await ledger.post(Make.tombstone(original.id)) }
        }
        try await group.waitForAll()
      }
      var posted: Int64 = 0
      for original in originals {
        let first = try await ledger.post(original).outcome
        let second = try await ledger.post(Make.tombstone(original.id)).outcome
        #expect(first == second && (first == .posted || first == .tombstone))
        posted += first == .posted ? 1 : 0
      }
      #expect(try await ledger.posted("A") == 1000 - posted)
    }
  }

  @Test("a linked group is all or none; a held credit is taken back by releasing and reversing together")
  func linkedGroups() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 100)
      let failing = [Make.transfer("A", "B", 50), Make.transfer("A", "B", 51)]
      let refused = try await ledger.post(failing, linked: true)
      #expect(refused.map(\.reason) == [.linkedDeclined, .insufficientFunds])
      #expect(try await ledger.posted("B") == 0)
      #expect(try await ledger.post(Make.transfer("A", "clearing:GBP", 100)).outcome == .posted)
      let credit = Make.transfer("clearing:GBP", "B", 100, type: "payment_credit")
      let hold = Make.hold("B", 100)
      #expect(try await ledger.post([credit, hold], linked: true).map(\.outcome) == [.posted, .posted])
      let held = try await ledger.balance("B")
      #expect(held.posted?.minorUnits == 100 && held.available?.minorUnits == 0)
      #expect(try await ledger.post(Make.transfer("B", "A", 1)).reason == .insufficientFunds)
      try await ledger.setStatus("B", .frozen)
      let undo = [Make.release(of: hold.id), Make.reversal(of: credit.id)]
      #expect(try await ledger.post(undo, linked: true).map(\.outcome) == [.posted, .posted])
      #expect(try await ledger.posted("B") == 0)
      #expect(try await ledger.posted("clearing:GBP") == 100)
      let record = try await ledger.transfer(undo[1].id)
      #expect(record.kind == "reversal" && record.linkedTransferID == credit.id && record.debitAccountID == "B")
    }
  }

  @Test("a frozen account refuses transfers and holds, a closed one too; closing needs an empty account; events are sticky")
  func statuses() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 100)
      let event = UUID128.random()
      #expect(try await ledger.setStatus("A", .frozen, event: event).outcome == .posted)
      #expect(try await ledger.setStatus("A", .frozen, event: event).existed)
      #expect(try await ledger.setStatus("A", .open, event: event).reason == .existsWithDifferentFields)
      #expect(try await ledger.fund("A", 1).reason == .accountFrozen)
      #expect(try await ledger.post(Make.hold("A", 1)).reason == .accountFrozen)
      #expect(try await ledger.balance("A").status == .frozen)
      #expect(try await ledger.setStatus("A", .closed).reason == .balanceNotZero)
      #expect(try await ledger.setStatus("A", .open).outcome == .posted)
      #expect(try await ledger.post(Make.transfer("A", "clearing:GBP", 100)).outcome == .posted)
      #expect(try await ledger.setStatus("A", .closed).outcome == .posted)
      #expect(try await ledger.fund("A", 1).reason == .accountClosed)
      #expect(try await ledger.setStatus("A", .open).reason == .accountClosed)
      #expect(try await ledger.setStatus("NOBODY", .open).reason == .accountUnknown)
      #expect(try await ledger.balance("A").status == .closed)
    }
  }

  @Test("what cannot be a posting is refused with a sentence that says what to send")
  func badInput() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      let future = UUID128.timeOrdered(at: SystemWallClock().now.adding(seconds: 120)).description
      let past = UUID128.timeOrdered(at: Timestamp(microseconds: 1_000_000)).description
      let v4 = UUID128.random().description
      var noAmount = LedgerAPI.Transfer(debitAccountID: "A", creditAccountID: "B", type: "x", referenceID: v4)
      noAmount.amount = nil
      let cases: [([LedgerAPI.Posting], Bool, String)] = [
        ([], false, "postings is empty"),
        ((0...1000).map { _ in Make.transfer("A", "B", 1) }, false, "1001 postings"),
        ([Make.transfer("A", "B", 0)], false, "above zero"),
        ([Make.transfer("A", "B", -5)], false, "above zero"),
        ([Make.transfer("A", "B", 1, currency: "gbp")], false, "ISO 4217"),
        ([Make.transfer("A", "B", 1, currency: "XXX")], false, "ISO 4217"),
        ([Make.transfer("A", "A", 1)], false, "same account"),
        ([Make.transfer("", "A", 1)], false, "debit_account_id is missing"),
        ([Make.transfer("A", "B C", 1)], false, "not an account id"),
        ([Make.transfer("A", "B", 1, type: "Bad Type")], false, "type must be"),
        ([Make.transfer("A", "B", 1, id: "nonsense")], false, "not a UUID"),
        ([Make.transfer("A", "B", 1, id: v4)], false, "not time-ordered"),
        ([Make.transfer("A", "B", 1, id: future)], false, "of the future"),
        ([Make.transfer("A", "B", 1, id: past)], false, "oldest month"),
        ([LedgerAPI.Posting(id: Make.id())], false, "no body"),
        ([LedgerAPI.Posting(id: Make.id(), body: .transfer(noAmount))], false, "amount is missing"),
        (
          [LedgerAPI.Posting(id: Make.id(), body: .release(LedgerAPI.Release(holdID: v4, type: "x", referenceID: v4)))], false,
          "time-ordered"
        ),
        ([LedgerAPI.Posting(id: Make.id(), body: .tombstone(LedgerAPI.Tombstone()))], false, "reference_id is missing"),
        ([Make.tombstone(Make.id()), Make.transfer("A", "B", 1)], true, "tombstone"),
      ]
      for (postings, linked, words) in cases {
        let error = await #expect(throws: RPCError.self) { try await ledger.post(postings, linked: linked) }
        #expect(error?.code == .invalidArgument, "\(words)")
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "") should say: \(words)")
        #expect(error?.executed == .no)
      }
      let twice = Make.transfer("A", "B", 1)
      let error = await #expect(throws: RPCError.self) { try await ledger.post([twice, twice]) }
      #expect(error?.message.contains("occurs twice") == true)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.transfers") == 0)
      let unknown = await #expect(throws: RPCError.self) { _ = try await ledger.balance("NOBODY") }
      #expect(unknown?.code == .notFound)
    }
  }
}
