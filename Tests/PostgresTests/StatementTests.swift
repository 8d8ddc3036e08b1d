import Money
import Postgres
import PostgresTestKit
import Testing

@Suite("Statements, deadlines, cancellation") struct StatementTests {
  @Test("A refused statement is a typed error with SQLSTATE, constraint and table")
  func typedErrors() async throws {
    let connection = try await TestDatabase.notes().connect()
    try await connection.query("INSERT INTO notes (id, text) VALUES ($1, $2)", [.int64(1), .text("one")])
    let unique = await #expect(throws: PostgresError.self) {
      try await connection.query("INSERT INTO notes (id, text) VALUES ($1, $2)", [.int64(1), .text("again")])
    }
    #expect(unique?.isUniqueViolation == true)
    #expect(unique?.constraint == "notes_key")
    #expect(unique?.table == "notes")
    #expect(unique?.schema == "payment")
    #expect(unique?.statement?.hasPrefix("INSERT INTO notes") == true)
    let check = await #expect(throws: PostgresError.self) { try await connection.query("INSERT INTO notes (id, text) VALUES (2, '')") }
    #expect(check?.isCheckViolation == true)
    #expect(check?.constraint == "notes_not_empty")
    let null = await #expect(throws: PostgresError.self) { try await connection.query("INSERT INTO notes (id) VALUES (3)") }
    #expect(null?.isNotNullViolation == true)
    #expect(null?.column == "text")
    // Found only when the statement commits by itself: after its own success.
    let foreign = await #expect(throws: PostgresError.self) {
      try await connection.query("INSERT INTO notes (id, text, parent) VALUES (4, 'four', 99)")
    }
    #expect(foreign?.isForeignKeyViolation == true)
    #expect(foreign?.constraint == "notes_parent")
    let syntax = await #expect(throws: PostgresError.self) { try await connection.query("SELEKT 1") }
    #expect(syntax?.sqlState == "42601")
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 1)
    await connection.close()
  }

  @Test("A pipeline is one transaction: its first error undoes all of it")
  func pipelines() async throws {
    let connection = try await TestDatabase.notes().connect()
    let good = try await connection.pipeline(
      (1...50).map { SQLStatement("INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id", [.int64(Int64($0)), .text("n")]) })
    #expect(try good.map { try $0.first?.int64("id") } == (1...50).map { Int64($0) })
    let error = await #expect(throws: PostgresError.self) {
      try await connection.pipeline([
        SQLStatement("INSERT INTO notes (id, text) VALUES (100, 'a')"), SQLStatement("INSERT INTO notes (id, text) VALUES (1, 'b')"),
        SQLStatement("INSERT INTO notes (id, text) VALUES (101, 'c')"), SQLStatement("SELECT 5 AS five"),
      ])
    }
    #expect(error?.isUniqueViolation == true)
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 50)
    // The statement whose preparation was skipped by the error is prepared now.
    #expect(try await connection.query("SELECT 5 AS five").first?.int64("five") == 5)
    await connection.close()
  }

  @Test("A statement is prepared again when a migration changes its result")
  func stalePlans() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    let owner = try await database.connect(as: .superuser)
    try await connection.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
    let read: SQLStatement = SQLStatement("SELECT * FROM notes")
    #expect(try await connection.pipeline([read])[0].first?.columns.count == 3)
    try await owner.query("ALTER TABLE payment.notes ADD COLUMN extra bigint DEFAULT 9")
    var rows: [SQLRow] = []
    // PostgreSQL refuses the old plan once ("cached plan must not change result type").
    do { rows = try await connection.pipeline([read])[0] } catch { rows = try await connection.pipeline([read])[0] }
    #expect(try rows.first?.int64("extra") == 9)
    await connection.close()
    await owner.close()
  }

  @Test("A statement is cut at the server when the deadline has passed, and the connection stays good")
  func deadlines() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    for _ in 0..<5 {
      let error = await #expect(throws: PostgresError.self) {
        try await Deadline.$current.withValue(.now + .milliseconds(150)) { _ = try await connection.query("SELECT pg_sleep(20)") }
      }
      #expect(error?.code == .timedOut)
      // Without a deadline the usual limit holds again.
      let setting = try await connection.query("SELECT current_setting('statement_timeout') AS t").first?.text("t")
      #expect(setting == "30s")
    }
    let past = await #expect(throws: PostgresError.self) {
      try await Deadline.$current.withValue(.now - .seconds(1)) { _ = try await connection.query("SELECT 1") }
    }
    #expect(past?.code == .timedOut)
    await connection.close()
  }

  @Test("A deadline holds in a transaction too, whose timeout setting is undone with it")
  func deadlinesInTransactions() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    for _ in 0..<3 {
      let error = await #expect(throws: PostgresError.self) {
        try await connection.transaction { transaction in
          try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
          try await Deadline.$current.withValue(.now + .milliseconds(100)) { _ = try await transaction.query("SELECT pg_sleep(20)") }
        }
      }
      #expect(error?.code == .timedOut)
      #expect(try await connection.query("SELECT current_setting('statement_timeout') AS t").first?.text("t") == "30s")
    }
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 0)
    await connection.close()
  }

  @Test("Cancelling the task cancels the statement at the server, and the connection stays good")
  func cancellation() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    for _ in 0..<5 {
      let task = Task { try await connection.query("SELECT pg_sleep(25)") }
      _ = try await database.session(running: "SELECT pg_sleep(25)")
      task.cancel()
      let error = await #expect(throws: PostgresError.self) { try await task.value }
      #expect(error?.code == .cancelled)
      #expect(try await connection.query("SELECT 1 AS one").first?.int64("one") == 1)
    }
    await connection.close()
  }

  @Test("A cancellation never hits the statement after the one that was meant")
  func lateCancellation() async throws {
    let connection = try await TestDatabase.notes().connect()
    var cancelled = 0
    var finished = 0
    for round in 0..<300 {
      // About as long as it takes the cancel request to arrive.
      let task = Task { try await connection.query("SELECT pg_sleep($1::bigint / 1000000.0)", [.int64(Int64(round % 30) * 100)]) }
      if round % 2 == 0 { await Task.yield() }
      task.cancel()
      do {
        _ = try await task.value
        finished += 1
      } catch let error as PostgresError {
        #expect(error.code == .cancelled)
        cancelled += 1
      }
      #expect(try await connection.query("SELECT count(*) AS n FROM generate_series(1, 2000)").first?.int64("n") == 2000)
    }
    #expect(cancelled + finished == 300)
    await connection.close()
  }

  @Test("COMMIT is never cancelled")
  func cancellationDuringCommit() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    for id in 1...3 {
      let task = Task {
        try await connection.transaction { try await $0.query("INSERT INTO slow VALUES ($1, 0.4)", [.int64(Int64(id))]) }
      }
      _ = try await database.session(running: "COMMIT")
      task.cancel()
      _ = try await task.value
      #expect(try await connection.query("SELECT count(*) AS n FROM slow").first?.int64("n") == Int64(id))
    }
    await connection.close()
  }

  @Test("A task that is cancelled before COMMIT commits nothing")
  func cancellationBeforeCommit() async throws {
    let connection = try await TestDatabase.notes().connect()
    let task = Task {
      try await connection.transaction { transaction in
        try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
        withUnsafeCurrentTask { $0?.cancel() }
      }
    }
    let error = await #expect(throws: PostgresError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 0)
    await connection.close()
  }

  @Test("A connection that breaks during COMMIT leaves the outcome unknown, and says so")
  func commitUnknown() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    let superuser = try await database.connect(as: .superuser)
    let task = Task { try await connection.transaction { try await $0.query("INSERT INTO slow VALUES (1, 20)") } }
    let pid = try await database.session(running: "COMMIT")
    try await superuser.query("SELECT pg_terminate_backend($1::integer)", [.int64(pid)])
    let error = await #expect(throws: PostgresError.self) { try await task.value }
    #expect(error?.code == .commitUnknown)
    #expect(await connection.isUsable == false)
    await superuser.close()
  }

  @Test("A connection that breaks in a transaction before COMMIT has done nothing, and says so")
  func lostBeforeCommit() async throws {
    let database = try await TestDatabase.notes()
    let connection = try await database.connect()
    let superuser = try await database.connect(as: .superuser)
    let pid = try #require(await connection.backendPID)
    let error = await #expect(throws: PostgresError.self) {
      try await connection.transaction { transaction in
        try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
        try await superuser.query("SELECT pg_terminate_backend($1::integer, 5000)", [.int64(Int64(pid))])
        try await transaction.query("INSERT INTO notes (id, text) VALUES (2, 'two')")
      }
    }
    #expect(error?.code == .connectionLost)
    #expect(try await superuser.query("SELECT count(*) AS n FROM payment.notes").first?.int64("n") == 0)
    await superuser.close()
  }
}
