import FlorinAPI
import Money
import Postgres
import PostgresTestKit
import Testing

@testable import PaymentService

@Suite("What the database itself refuses")
struct StorageTests {
  /// A database with one finished payment, given to `body` as the owner of its tables would see it.
  private func withPayment(_ body: @Sendable (PostgresPool, TestDatabase, PaymentAPI.Payment) async throws -> Void) async throws {
    try await withPaymentDatabase { pool, database in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 1_000)
      let payment = try await PaymentProcess(pool, mesh).pay()
      try await body(pool, database, payment)
    }
  }

  @Test("the service may not change or remove what was written")
  func service() async throws {
    try await withPayment { pool, _, _ in
      let attempts: [StaticString] = [
        "UPDATE payment.saga_log SET detail = 'x'", "DELETE FROM payment.saga_log", "TRUNCATE payment.saga_log",
        "UPDATE payment.payments SET amount = 1", "DELETE FROM payment.payments", "DELETE FROM payment.payment_outcomes",
        "UPDATE payment.payment_outcomes SET state = 'DECLINED'", "TRUNCATE payment.payments CASCADE",
        "UPDATE payment.idempotency_keys SET fingerprint = fingerprint", "UPDATE payment.idempotency_keys SET response = 'x'",
        "DELETE FROM payment.idempotency_keys", "SELECT payment.refuse_change()", "CREATE TABLE payment.mine (a int)",
      ]
      for sql in attempts {
        await #expect(throws: PostgresError.self, "\(sql)") { try await pool.query(sql) }
      }
    }
  }

  @Test("nor may the owner of the tables, without first saying in DDL that the rule is off")
  func owner() async throws {
    try await withPayment { _, database, _ in
      let owner = try await database.connect(as: .migrator)
      try await owner.query("SET ROLE payment_owner")
      let partition = try await owner.query(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'payment.saga_log'::regclass")
      #expect(partition.count >= 4)
      let attempts: [StaticString] = [
        "UPDATE payment.saga_log SET detail = 'x'", "DELETE FROM payment.saga_log", "TRUNCATE payment.saga_log",
        "UPDATE payment.payments SET amount = 1", "DELETE FROM payment.payment_outcomes", "TRUNCATE payment.payment_outcomes",
        "UPDATE payment.idempotency_keys SET response = 'x'", "DELETE FROM payment.idempotency_keys",
      ]
      for sql in attempts {
        await #expect(throws: PostgresError.self, "\(sql)") { try await owner.query(sql) }
      }
      // Naming the partition does not help either.
      for verb in ["UPDATE %s SET detail = 'x'", "DELETE FROM %s", "TRUNCATE %s"] {
        await #expect(throws: PostgresError.self, "\(verb)") {
          try await owner.query("SELECT set_config('florin.test_verb', $1, false)", [.text(verb)])
          try await owner.query(
            """
            DO $$ DECLARE name text; BEGIN
              FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'payment.saga_log'::regclass LOOP
                EXECUTE replace(current_setting('florin.test_verb'), '%s', name);
              END LOOP;
            END $$
            """)
        }
      }
      await owner.close()
    }
  }

  @Test("a reply is kept from 24 to 48 hours after the terminal state, and no other time")
  func expiryWindow() async throws {
    try await withPayment { pool, database, payment in
      let kept = try await pool.query(
        "SELECT extract(epoch FROM expires_at - finished_at)::bigint AS seconds, status_code, response FROM payment.idempotency_keys")
      #expect(try kept.first?.int64("seconds") == 86_400)
      #expect(try kept.first?.int64("status_code") == 0)
      #expect(try kept.first?.bytes("response") == payment.serialized())
      for hours: Int64 in [-30, -1, 25] {
        await #expect(throws: PostgresError.self) {
          try await tamper(
            database, "UPDATE payment.idempotency_keys SET expires_at = expires_at + $1::bigint * interval '1 hour'", [.int64(hours)])
        }
      }
      try await tamper(
        database, "UPDATE payment.idempotency_keys SET expires_at = expires_at + $1::bigint * interval '1 hour'", [.int64(24)])
    }
  }

  @Test("two writers can never both append the same event")
  func sameEvent() async throws {
    try await withPayment { _, database, payment in
      let id = try #require(UUID128(payment.paymentID))
      let error = await #expect(throws: PostgresError.self) {
        try await tamper(
          database,
          """
          INSERT INTO payment.saga_log (saga_id, seq, claimed_at, kind, owner, epoch)
          SELECT saga_id, seq, claimed_at, 'completed', owner, epoch + 1 FROM payment.saga_log WHERE saga_id = $1 AND seq = 3
          """, [.uuid(id)])
      }
      #expect(error?.isUniqueViolation == true)
    }
  }

  @Test("months are made once, in advance, by the service's own role")
  func months() async throws {
    try await withPayment { pool, _, _ in
      let again = try await PaymentStore(pool: pool).ensureMonths()
      #expect(again == 0)
      let further = try await pool.query("SELECT payment.ensure_saga_log_months(5) AS made").first?.int64("made")
      #expect(further == 2)
      await #expect(throws: PostgresError.self) { try await pool.query("SELECT payment.ensure_saga_log_months(25) AS made") }
    }
  }

  @Test("lists are newest first, by state, and in pages")
  func lists() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 250)
      let process = PaymentProcess(pool, mesh)
      var all: [PaymentAPI.Payment] = []
      for _ in 0..<4 { all.append(try await process.pay()) }
      #expect(all.map(\.state) == [.completed, .completed, .declined, .declined])
      #expect(try await process.list(.unspecified) == all.reversed().map(\.paymentID))
      #expect(try await process.list(.declined) == [all[3].paymentID, all[2].paymentID])
      #expect(try await process.list(.completed, limit: 1) == [all[1].paymentID])
      #expect(try await process.list(.completed, before: all[1].createdAtUnixMicroseconds) == [all[0].paymentID])
      let page = try await process.list(.unspecified, limit: 2, before: all[3].createdAtUnixMicroseconds)
      #expect(page == [all[2].paymentID, all[1].paymentID])
      #expect(try await process.find(all[2].paymentID) == all[2])
    }
  }
}
