import Money
import Postgres
import PostgresTestKit
import Testing

@Suite struct ImmutabilityTests {
  private static let tables = [
    "writer_epochs", "batches", "accounts", "account_events", "transfers", "resolutions", "entries",
  ]

  @Test("UPDATE, DELETE and TRUNCATE are refused to everybody, on parents and partitions, with a trigger that raises")
  func triggersRaise() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 100)
      let month = String(SystemWallClock().now.description.prefix(7)).replacing("-", with: "_")
      let partitions = ["transfers", "resolutions", "entries"].map { "\($0)_\(month)" }
      for table in Self.tables + partitions {
        let column = try await ledger.sql(
          "SELECT attname FROM pg_attribute WHERE attrelid = 'ledger.\(table)'::regclass AND attnum = 1")
        for statement in [
          "UPDATE ledger.\(table) SET \(column) = \(column)", "DELETE FROM ledger.\(table)", "TRUNCATE ledger.\(table) CASCADE",
        ] {
          for prefix in ["", "SET session_replication_role = replica; "] {
            let error = await #expect(throws: (any Error).self, "\(statement)") { try await ledger.sql(prefix + statement) }
            #expect("\(String(describing: error))".contains("append-only"), "\(prefix)\(statement): \(String(describing: error))")
          }
        }
      }
    }
  }

  @Test("the service's own role may only select and insert, and only through the parents")
  func rightsOfTheService() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 100)
      let service = try await ledger.database.connect(as: .service)
      let refused: [StaticString] = [
        "UPDATE ledger.transfers SET amount = 1", "DELETE FROM ledger.entries", "TRUNCATE ledger.batches CASCADE",
        "DELETE FROM derived.checkpoints", "UPDATE ledger.accounts SET policy = 'unlimited'",
        "ALTER TABLE ledger.entries DISABLE TRIGGER append_only", "DROP TABLE ledger.entries", "CREATE TABLE ledger.mine (a int)",
        "SELECT ledger.attach_month('2030-01-01')", "SET ROLE ledger_owner",
      ]
      for statement in refused {
        let error = await #expect(throws: PostgresError.self, "\(statement)") { try await service.query(statement) }
        #expect(error?.isInsufficientPrivilege == true, "\(statement): \(String(describing: error))")
      }
      let insert: StaticString = """
        DO $$ BEGIN EXECUTE format('INSERT INTO ledger.entries_%s SELECT * FROM ledger.entries', to_char(now(), 'YYYY_MM')); END $$
        """
      let direct = await #expect(throws: PostgresError.self) { try await service.query(insert) }
      #expect(direct?.isInsufficientPrivilege == true)
      await service.close()
    }
  }

  @Test("entries that do not balance are refused by the schema itself")
  func legs() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      let error = await #expect(throws: (any Error).self) {
        try await ledger.sql("INSERT INTO ledger.entries VALUES (1, 1, 'CREDIT', 100, ledger.first_id(now()), now())")
      }
      #expect("\(String(describing: error))".contains("sum to zero"))
    }
  }

  @Test("months are attached three ahead by the service, idempotently, and an id can only exist once over all of them")
  func months() async throws {
    try await LedgerFixture.run { ledger in
      let service = try await ledger.database.connect(as: .service)
      #expect(try await service.query("SELECT ledger.ensure_months() AS made").first?.int64("made") == 0)
      let months = try #require(try await service.query("SELECT first_day, end_day FROM ledger.attached_months()").first)
      let today = SystemWallClock().now.daysSinceEpoch
      #expect(try months.date("first_day").daysSinceEpoch <= today - 28)
      #expect(try months.date("end_day").daysSinceEpoch >= today + 89)
      // The newest month is lost, as if nobody had made it: the service makes it again, guarded like the others.
      let last = try CivilDate(daysSinceEpoch: months.date("end_day").daysSinceEpoch - 1).description.prefix(7).replacing("-", with: "_")
      _ = try await ledger.sql("DROP TABLE ledger.transfers_\(last), ledger.resolutions_\(last), ledger.entries_\(last)")
      #expect(try await service.query("SELECT ledger.ensure_months() AS made").first?.int64("made") == 1)
      let again = try #require(try await service.query("SELECT first_day, end_day FROM ledger.attached_months()").first)
      #expect(try again.date("end_day") == months.date("end_day"))
      await service.close()
      try await expectSound(ledger.database)
    }
  }
}
