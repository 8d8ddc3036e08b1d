import FlorinAPI
import MeshProtocol
import Money
import Postgres
import PostgresTestKit
import Testing

@testable import AccountService

/// What stands in the tables stays there.
@Suite struct StoredFactsTests {
  @Test("accounts, events, results and steps are never updated, deleted or truncated, not by a superuser either")
  func appendOnly() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      _ = try await world.accounts().tombstone(.init(stepID: UUID128.random().description, paymentID: UUID128.random().description))
      let statements: [StaticString] = [
        "UPDATE account.accounts SET reference = 'x'", "DELETE FROM account.accounts", "TRUNCATE account.accounts CASCADE",
        "UPDATE account.account_events SET reason = 'x'", "DELETE FROM account.account_events", "TRUNCATE account.account_events CASCADE",
        "UPDATE account.account_event_results SET batch_no = 9", "DELETE FROM account.account_event_results",
        "TRUNCATE account.account_event_results", "UPDATE account.steps SET state = 'done'", "DELETE FROM account.steps",
        "TRUNCATE account.steps",
      ]
      for role in [TestRole.service, .superuser] {
        let connection = try await world.database.connect(as: role)
        if role == .superuser { try await connection.query("SET session_replication_role = replica") }
        for statement in statements {
          let error = await #expect(throws: PostgresError.self, "\(statement) as \(role)") { try await connection.query(statement) }
          #expect(error?.isInsufficientPrivilege == true, "\(statement) as \(role): \(String(describing: error))")
        }
        await connection.close()
      }
      #expect(try await world.status(of: id) == .open)
    }
  }

  @Test("without an audit row and an outbox row there is no change")
  func noAuditNoChange() async throws {
    for revoke: StaticString in [
      "REVOKE INSERT ON account.outbox FROM account_service",
      "REVOKE EXECUTE ON FUNCTION account.append_audit(text, text, text, text, json, text, timestamptz) FROM account_service",
    ] {
      try await AccountWorld.with { (world) async throws in
        let id = try await world.open().message.accountID
        let superuser = try await world.database.connect(as: .superuser)
        try await superuser.query(revoke)
        await superuser.close()
        for error in [
          await refusal { _ = try await world.open() }, await refusal { _ = try await world.change(.freeze, id) },
          await refusal {
            _ = try await world.accounts().screenPayer(
              .init(
                stepID: UUID128.random().description, paymentID: UUID128.random().description, payerAccountID: id,
                amount: .init(minorUnits: 1, currency: "GBP")))
          },
        ] {
          #expect(error?.code == .internal)
        }
        #expect(try await world.count("SELECT count(*) FROM account.accounts") == 1)
        #expect(try await world.count("SELECT count(*) FROM account.account_events") == 1)
        #expect(try await world.count("SELECT count(*) FROM account.steps") == 0)
        #expect(world.ledger.decisions.count == 1)
      }
    }
  }

  @Test("a database that cannot be reached is UNAVAILABLE, and says nothing of itself")
  func databaseAway() async throws {
    try await AccountWorld.with { (world) async throws in
      await world.pool.close()
      let error = await refusal { _ = try await world.open() }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("account_service") == false)
    }
  }

  @Test("the auditor may read everything and write nothing")
  func auditor() async throws {
    try await AccountWorld.with { (world) async throws in
      _ = try await world.open()
      let auditor = try await world.database.connect(as: .auditor)
      for table: StaticString in [
        "SELECT count(*) FROM account.accounts", "SELECT count(*) FROM account.account_events",
        "SELECT count(*) FROM account.account_states", "SELECT count(*) FROM account.event_queue", "SELECT count(*) FROM account.steps",
      ] {
        #expect(try await auditor.query(table).count == 1)
      }
      await #expect(throws: PostgresError.self) { try await auditor.query("DELETE FROM account.event_queue") }
      await auditor.close()
    }
  }
}
