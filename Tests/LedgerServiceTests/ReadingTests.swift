import FlorinAPI
import Money
import Postgres
import Testing

@Suite struct ReadingTests {
  @Test("a balance as of a past booking instant never changes, and is that of the last booking up to it")
  func balanceAtAnInstant() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      var history: [(at: Int64, balance: Int64, available: Int64)] = []
      var balance: Int64 = 0
      var held: Int64 = 0
      for step in 1...150 {
        let result: LedgerAPI.PostingResult
        if step % 10 == 0 {
          result = try await ledger.post(Make.hold("A", 1))
          held += 1
        } else {
          result = try await ledger.fund("A", Int64(step))
          balance += Int64(step)
        }
        history.append((result.bookedAtUnixMicroseconds, balance, balance - held))
      }
      for _ in 0..<2 {
        for moment in history {
          let then = try await ledger.balance("A", at: moment.at)
          #expect(then.posted?.minorUnits == moment.balance)
          #expect(then.available?.minorUnits == moment.available)
          #expect(then.asOfUnixMicroseconds == moment.at)
          let between = try await ledger.balance("A", at: moment.at + 1)
          #expect(between.posted?.minorUnits == moment.balance)
        }
        // The cache is emptied: every answer stays.
        _ = try await ledger.sql("TRUNCATE derived.checkpoints")
      }
      let now = try await ledger.balance("A")
      #expect(now.asOfUnixMicroseconds == history.last?.at)
      let future = try await ledger.balance("A", at: .max)
      #expect(future.asOfUnixMicroseconds == history.last?.at)
      #expect(now.entryCount == 135)
    }
  }

  @Test("checkpoints come by themselves, say what the entries say, and emptying them changes no answer")
  func checkpointsAreOnlyACache() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 100_000)
      for round in 0..<5 {
        try await ledger.post((0..<100).map { Make.transfer("A", "B", Int64($0 + round + 1)) })
        try await ledger.post(Make.hold("B", 3))
      }
      // Written beside the ledger: they come a little later.
      for _ in 0..<500 where try await ledger.number("SELECT count(*) AS n FROM derived.checkpoints") < 4 {
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(try await ledger.number("SELECT count(*) AS n FROM derived.checkpoints") >= 4)
      let before = try await [ledger.balance("A"), ledger.balance("B"), ledger.balance("external:funding:GBP")]
      let statement = try await ledger.statement("B", limit: 50, after: 300)
      #expect(before[1].available?.minorUnits == (before[1].posted?.minorUnits ?? 0) - 15)
      _ = try await ledger.sql("TRUNCATE derived.checkpoints")
      let after = try await [ledger.balance("A"), ledger.balance("B"), ledger.balance("external:funding:GBP")]
      #expect(before == after)
      #expect(try await ledger.statement("B", limit: 50, after: 300) == statement)
    }
  }

  @Test("a ledger that starts again, with or without checkpoints, decides as the one before")
  func rebuild() async throws {
    let database = try await LedgerFixture.fresh()
    let credit = Make.transfer("clearing:GBP", "B", 70)
    let hold = Make.hold("B", 70)
    try await LedgerFixture.run(database) { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.open("C")
      try await ledger.fund("A", 1000)
      for _ in 0..<3 { try await ledger.post((0..<100).map { _ in Make.transfer("A", "C", 1) }) }
      try await ledger.post([credit, hold], linked: true)
      try await ledger.setStatus("C", .frozen)
    }
    try await LedgerFixture.run(database) { ledger in
      #expect(try await ledger.posted("A") == 700)
      #expect(try await ledger.post(Make.transfer("A", "B", 701)).reason == .insufficientFunds)
      #expect(try await ledger.post(Make.transfer("A", "C", 1)).reason == .accountFrozen)
      #expect(try await ledger.post(Make.transfer("B", "A", 1)).reason == .insufficientFunds)
      let again = try await ledger.post([credit, hold], linked: true)
      #expect(again.map(\.existed) == [true, true])
      #expect(try await ledger.post(Make.release(of: hold.id)).outcome == .posted)
      _ = try await ledger.sql("TRUNCATE derived.checkpoints")
    }
    try await LedgerFixture.run(database) { ledger async throws in
      #expect(try await ledger.post(Make.release(of: hold.id)).reason == .holdResolved)
      #expect(try await ledger.post(Make.transfer("B", "A", 70)).outcome == .posted)
      #expect(try await ledger.posted("A") == 770)
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.writer_epochs") == 4)
    }
  }

  @Test("a statement has every entry once, in order, with the balance after it, page by page and by time")
  func statements() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      let reference = UUID128.random()
      var results = [try await ledger.fund("A", 100_000)]
      for step in 1...4 {
        results += try await ledger.post((1...50).map { Make.transfer("A", "B", Int64($0 * step), reference: reference) })
      }
      var lines: [LedgerAPI.StatementLine] = []
      while true {
        let page = try await ledger.statement("A", limit: 33, after: lines.last?.sequence ?? 0)
        lines += page.lines
        if !page.more { break }
        #expect(page.lines.count == 33)
      }
      #expect(lines.map(\.sequence) == (1...201).map(UInt64.init))
      #expect(lines.map(\.transferID) == results.map(\.id))
      var balance: Int64 = 0
      for line in lines {
        balance += line.amount?.minorUnits ?? 0
        #expect(line.balanceAfter?.minorUnits == balance)
      }
      #expect(lines[0].counterpartyAccountID == "external:funding:GBP" && lines[0].type == "funding")
      #expect(lines[1].counterpartyAccountID == "B" && lines[1].referenceID == reference.description)
      #expect(lines[1].amount?.minorUnits == -1)
      #expect(try await ledger.posted("A") == balance)
      let from = results[101].bookedAtUnixMicroseconds
      let to = results[151].bookedAtUnixMicroseconds
      let window = try await ledger.statement("A", from: from, to: to, limit: 1000)
      #expect(window.lines == lines.filter { from <= $0.bookedAtUnixMicroseconds && $0.bookedAtUnixMicroseconds < to })
      #expect(try await ledger.statement("clearing:GBP").lines.isEmpty)
    }
  }

  @Test("the auditor's views agree with the ledger's answers, and one row explains a transaction")
  func auditorsViews() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 500)
      let moved = Make.transfer("A", "B", 120)
      try await ledger.post(moved)
      let undo = Make.reversal(of: moved.id)
      try await ledger.post(undo)
      let auditor = try await ledger.database.connect(as: .auditor)
      let sums = try await auditor.query(
        """
        SELECT SUM(CASE WHEN direction = 'CREDIT' THEN amount ELSE -amount END) AS balance FROM ledger_entries WHERE account_id = 'A'
        """)
      #expect(try sums.first?.int64("balance") == 500)
      #expect(try await ledger.posted("A") == 500)
      let columns = try await auditor.query("SELECT * FROM ledger_entries LIMIT 1").first?.columns
      #expect(columns == ["account_id", "amount", "direction", "type", "reference_id", "created_at"])
      let id = try #require(UUID128(moved.id))
      let story = try #require(try await auditor.query("SELECT * FROM transaction_explained WHERE transfer_id = $1", [.uuid(id)]).first)
      #expect(try story.text("debit_account_id") == "A")
      #expect(try story.int64("debit_balance_after") == 380)
      #expect(try story.int64("credit_balance_after") == 120)
      #expect(try story.uuid("resolved_by_id").description == undo.id)
      #expect(try story.text("requested_by") == "payment")
      let error = await #expect(throws: PostgresError.self) { try await auditor.query("DELETE FROM ledger.entries") }
      #expect(error?.sqlState == "25006" || error?.isInsufficientPrivilege == true)
      await auditor.close()
    }
  }

  @Test("a trace tells every posting of a reference, with its entries and the balances after them")
  func trace() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.open("B")
      try await ledger.fund("A", 500)
      let payment = UUID128.random()
      let debit = Make.transfer("A", "clearing:GBP", 200, reference: payment)
      try await ledger.post(debit)
      try await ledger.post(Make.transfer("clearing:GBP", "NOBODY", 200, reference: payment))
      try await ledger.post(Make.reversal(of: debit.id, reference: payment))
      let request = LedgerAPI.TraceRequest(referenceID: payment.description)
      let lines = try await ledger.parts.handlers.trace(request, context: ledger.caller).message.lines
      #expect(
        lines.map(\.event) == [
          "ledger.posted", "ledger.entry", "ledger.entry", "ledger.declined", "ledger.posted", "ledger.entry", "ledger.entry",
        ])
      #expect(lines[0].summary == "2.00 GBP from A to clearing:GBP")
      #expect(lines[1].summary == "DEBIT A 2.00 GBP; balance 3.00 GBP")
      #expect(lines[3].summary.contains("account_unknown"))
      #expect(lines[3].fields.contains { $0.name == "unknown_account_id" && $0.value == "NOBODY" })
      #expect(lines[6].summary.hasSuffix("balance 5.00 GBP"))
      let byTransfer = LedgerAPI.TraceRequest(referenceID: debit.id)
      #expect(try await ledger.parts.handlers.trace(byTransfer, context: ledger.caller).message.lines.count == 6)
    }
  }
}
