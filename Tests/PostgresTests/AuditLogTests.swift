import Money
import Outbox
import Postgres
import PostgresTestKit
import Testing

@Suite("The audit log and the outbox") struct AuditLogTests {
  private func database() async throws -> TestDatabase {
    try await TestCluster.shared().database("account", migrations: CommonMigrations.all)
  }

  private func record(_ subject: String, _ note: String = "") -> AuditRecord {
    AuditRecord(
      actor: "/operator/alice", action: "account.freeze", subject: subject, outcome: "accepted",
      detail: ["note": note, "quote\"\\": "tab\t newline\n £ \u{1}"], traceID: "0af7651916cd43dd8448eb211c80319c")
  }

  @Test("What is appended is there, in the chain of its subject, and the chain verifies")
  func append() async throws {
    try await database().withPool { pool in
      let time = try #require(Timestamp(rfc3339: "2020-02-29T23:59:59.999999Z"))
      for index in 0..<40 { try await AuditLog.append(record("account/\(index % 7)", "\(index)"), at: index == 3 ? time : nil, in: pool) }
      let verification = try await AuditLog.verify(in: pool)
      #expect(verification == AuditVerification(rows: 40))
      let rows = try await pool.query("SELECT DISTINCT lane FROM audit_log WHERE subject = 'account/3'")
      #expect(rows.count == 1)
      let row = try #require(try await pool.query("SELECT detail::text AS d, occurred_at FROM audit_log WHERE detail->>'note' = '3'").first)
      #expect(try row.text("d") == #"{"note":"3","quote\"\\":"tab\t newline\n £ \u0001"}"#)
      #expect(try row.timestamp("occurred_at") == time)
    }
  }

  @Test(
    "Concurrent writers keep one chain per lane, at every isolation level",
    arguments: [IsolationLevel.readCommitted, .repeatableRead, .serializable])
  func concurrently(isolation: IsolationLevel) async throws {
    try await database().withPool(size: 8) { pool in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<8 {
          group.addTask {
            for index in 0..<15 {
              try await pool.transaction(isolation: isolation, retries: 200) { transaction in
                // The snapshot is taken before the lane is locked.
                try await transaction.query("SELECT count(*) FROM outbox")
                // Few subjects, so that writers meet.
                try await AuditLog.append(record("account/\((task + index) % 3)"), in: transaction)
              }
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await AuditLog.verify(in: pool) == AuditVerification(rows: 120))
    }
  }

  @Test("A change that is rolled back leaves no audit row and no gap")
  func rollback() async throws {
    try await database().withPool { pool in
      for index in 0..<10 {
        do {
          try await pool.transaction { transaction in
            try await AuditLog.append(record("account/1"), in: transaction)
            try await Outbox.append(OutboxEvent(aggregate: "account/1", type: "account.frozen", payload: [1]), in: transaction)
            if index % 2 == 1 { throw CancellationError() }
          }
        } catch is CancellationError {}
      }
      #expect(try await AuditLog.verify(in: pool) == AuditVerification(rows: 5))
      #expect(try await pool.query("SELECT count(*) AS n FROM outbox").first?.int64("n") == 5)
    }
  }

  @Test("The service may not change, remove or slip in rows, not through a partition either")
  func privileges() async throws {
    try await database().withPool { pool in
      try await AuditLog.append(record("account/1"), in: pool)
      try await Outbox.append(OutboxEvent(aggregate: "a", type: "t", payload: []), in: pool)
      for statement in [
        "UPDATE audit_log SET outcome = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log", "UPDATE audit_heads SET lane_number = 0",
        "INSERT INTO audit_log SELECT * FROM audit_log", "DELETE FROM audit_heads", "UPDATE outbox SET type = 'x'", "DELETE FROM outbox",
        "TRUNCATE outbox", "ALTER TABLE audit_log DISABLE TRIGGER ALL", "DROP TABLE audit_log", "DELETE FROM schema_migrations",
      ] as [StaticString] {
        let error = await #expect(throws: PostgresError.self, "\(statement)") { try await pool.query(statement) }
        #expect(error?.isInsufficientPrivilege == true, "\(statement): \(String(describing: error))")
      }
      for parent in ["audit_log", "outbox"] {
        for command in ["UPDATE %I.%I SET created_at = created_at", "DELETE FROM %I.%I", "TRUNCATE %I.%I"] {
          let error = await #expect(throws: PostgresError.self) {
            try await pool.transaction { transaction in
              try await transaction.query(
                "SELECT set_config('t.p', $1, true), set_config('t.c', $2, true)",
                [.text(parent), .text(command)])
              try await transaction.query(
                """
                DO $$ DECLARE part regclass; BEGIN
                  SELECT inhrelid::regclass INTO part FROM pg_inherits WHERE inhparent = current_setting('t.p')::regclass LIMIT 1;
                  EXECUTE replace(current_setting('t.c'), '%I.%I', part::text);
                END $$
                """)
            }
          }
          #expect(error?.isInsufficientPrivilege == true)
        }
      }
    }
  }

  @Test("Triggers refuse the owner too, on the table and on each of its months")
  func triggers() async throws {
    let database = try await database()
    try await database.withPool { try await AuditLog.append(record("account/1"), in: $0) }
    let superuser = try await database.connect(as: .superuser)
    let partitions = try await superuser.query(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent IN ('account.audit_log'::regclass, 'account.outbox'::regclass)"
    )
    #expect(partitions.count == 8)
    for table in try partitions.map({ try $0.text("name") }) + ["account.audit_log", "account.outbox"] {
      for command in ["UPDATE %s SET created_at = created_at", "DELETE FROM %s", "TRUNCATE %s"] {
        let error = await #expect(throws: PostgresError.self, "\(command) \(table)") {
          try await superuser.transaction { transaction in
            try await transaction.query("SET LOCAL ROLE account_owner")
            try await transaction.query("SELECT set_config('t.c', format($1, $2), true)", [.text(command), .text(table)])
            try await transaction.query("DO $$ BEGIN EXECUTE current_setting('t.c'); END $$")
          }
        }
        #expect(error?.message.contains("append-only") == true, "\(command) \(table): \(String(describing: error))")
      }
    }
    await superuser.close()
  }

  /// What somebody with every right could do to the rows of one lane.
  static let forgeries: [String] = [
    "UPDATE account.audit_log SET outcome = 'declined' WHERE lane_number = 3",
    "UPDATE account.audit_log SET actor = 'x' WHERE lane_number = 3",
    "UPDATE account.audit_log SET detail = '{}' WHERE lane_number = 3",
    "UPDATE account.audit_log SET trace_id = '' WHERE lane_number = 3",
    "UPDATE account.audit_log SET occurred_at = occurred_at + interval '1 microsecond' WHERE lane_number = 3",
    "UPDATE account.audit_log SET created_at = created_at + interval '1 microsecond' WHERE lane_number = 3",
    // A field's end moved into the next one.
    "UPDATE account.audit_log SET actor = actor || left(action, 1), action = substr(action, 2) WHERE lane_number = 3",
    // With a hash that fits its own row.
    "UPDATE account.audit_log SET outcome = 'declined', hash = sha256('x') WHERE lane_number = 3",
    "DELETE FROM account.audit_log WHERE lane_number = 3",
    "DELETE FROM account.audit_log WHERE lane_number = 1",
    "DELETE FROM account.audit_log WHERE lane_number = 5",
    "DELETE FROM account.audit_log",
    "UPDATE account.audit_log SET lane_number = CASE lane_number WHEN 3 THEN 4 ELSE 3 END WHERE lane_number IN (3, 4)",
    "UPDATE account.audit_log SET lane_number = lane_number + 1 WHERE lane_number = 5",
    "UPDATE account.audit_log SET lane = (lane + 1) % 16 WHERE lane_number = 5",
    """
    INSERT INTO account.audit_log SELECT lane, 3, actor, 'slipped in', subject, outcome, detail, trace_id, occurred_at,
      created_at + interval '1 second', previous_hash, hash FROM account.audit_log WHERE lane_number = 3
    """,
    "UPDATE account.audit_heads SET hash = sha256('x') WHERE lane_number > 0",
    "DELETE FROM account.audit_heads WHERE lane_number > 0",
  ]

  @Test("Whatever a superuser does to the rows, verification finds it", arguments: forgeries)
  func forgery(_ forgery: String) async throws {
    let database = try await database()
    try await database.withPool { pool in
      for index in 0..<5 { try await AuditLog.append(record("account/1", "\(index)"), in: pool) }
      #expect(try await AuditLog.verify(in: pool).firstFault == nil)
    }
    let superuser = try await database.connect(as: .superuser)
    try await superuser.transaction { transaction in
      try await transaction.query("SET LOCAL session_replication_role = replica")
      try await transaction.query("SELECT set_config('t.c', $1, true)", [.text(forgery)])
      try await transaction.query("DO $$ BEGIN EXECUTE current_setting('t.c'); END $$")
    }
    try await database.withPool { pool in
      let fault = try #require(try await AuditLog.verify(in: pool).firstFault, "not found: \(forgery)")
      #expect(!fault.reason.isEmpty)
      if forgery.hasSuffix("WHERE lane_number = 3") { #expect([3, 4].contains(fault.number), "\(fault)") }
    }
    await superuser.close()
  }

  @Test("Months are made three ahead, once, by the service")
  func months() async throws {
    let database = try await database()
    #expect(try await database.withPool { try await MonthKeeper.ensureMonths(in: $0) } == 0)
    let superuser = try await database.connect(as: .superuser)
    let rows = try await superuser.query(
      """
      SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => 3), '"account.audit_log_"YYYY_MM') AS last
      """)
    let last = try #require(rows.first).text("last")
    try await superuser.transaction { transaction in
      try await transaction.query("SELECT set_config('t.p', $1, true)", [.text(last)])
      try await transaction.query("DO $$ BEGIN EXECUTE format('DROP TABLE %s', current_setting('t.p')); END $$")
    }
    try await database.withPool { pool in
      let made = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 { group.addTask { try await MonthKeeper.ensureMonths(in: pool) } }
        return try await group.reduce(0, +)
      }
      #expect(made == 1)
    }
    await superuser.close()
  }
}
