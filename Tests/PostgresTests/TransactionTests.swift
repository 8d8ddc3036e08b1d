import Postgres
import PostgresTestKit
import Testing

private struct Changed: Error, Equatable {}

@Suite("Transactions") struct TransactionTests {
  @Test("What a transaction did is there when it returns, and gone when it throws")
  func commitAndRollback() async throws {
    let connection = try await TestDatabase.notes().connect()
    let value = try await connection.transaction { transaction in
      try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
      return 7
    }
    #expect(value == 7)
    await #expect(throws: Changed()) {
      try await connection.transaction { transaction in
        try await transaction.query("INSERT INTO notes (id, text) VALUES (2, 'two')")
        throw Changed()
      }
    }
    #expect(try await connection.query("SELECT id FROM notes").map { try $0.int64("id") } == [1])
    try await connection.transaction { _ in }
    await connection.close()
  }

  @Test("A swallowed error does not let a transaction pass for committed")
  func swallowedError() async throws {
    let connection = try await TestDatabase.notes().connect()
    let error = await #expect(throws: PostgresError.self) {
      try await connection.transaction { transaction in
        try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
        do { try await transaction.query("SELECT 1/0") } catch {}
      }
    }
    #expect(error?.code == .transactionAborted)
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 0)
    await connection.close()
  }

  @Test("A transaction cannot be used after its end, nor the connection beside it")
  func misuse() async throws {
    let connection = try await TestDatabase.notes().connect()
    let escaped = try await connection.transaction { transaction in
      try await transaction.query("SELECT 1")
      let error = await #expect(throws: PostgresError.self) { try await connection.query("SELECT 1") }
      #expect(error?.code == .misuse)
      return transaction
    }
    let error = await #expect(throws: PostgresError.self) { try await escaped.query("INSERT INTO notes (id, text) VALUES (1, 'one')") }
    #expect(error?.code == .misuse)
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 0)
    await connection.close()
  }

  @Test("A transaction whose first statement could not be sent is still a transaction")
  func firstStatementNotSent() async throws {
    let connection = try await TestDatabase.notes().connect()
    await #expect(throws: Changed()) {
      try await connection.transaction { transaction in
        do { try await transaction.query("SELECT $1", [.text("\0")]) } catch {}
        try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
        throw Changed()
      }
    }
    #expect(try await connection.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 0)
    await connection.close()
  }

  @Test("Statements that begin or end transactions by themselves are refused", arguments: ["COMMIT", "ROLLBACK", "BEGIN"])
  func ownControl(_ word: String) async throws {
    let connection = try await TestDatabase.notes().connect()
    let error: PostgresError?
    switch word {
    case "BEGIN": error = await #expect(throws: PostgresError.self) { try await connection.query("BEGIN") }
    case "COMMIT": error = await #expect(throws: PostgresError.self) { try await connection.transaction { try await $0.script("COMMIT") } }
    default: error = await #expect(throws: PostgresError.self) { try await connection.transaction { try await $0.query("ROLLBACK") } }
    }
    #expect(error?.code == .misuse)
    #expect(await connection.isUsable == false)
  }

  @Test("A read-only transaction cannot write")
  func readOnly() async throws {
    let connection = try await TestDatabase.notes().connect()
    let error = await #expect(throws: PostgresError.self) {
      try await connection.transaction(readOnly: true) { try await $0.query("INSERT INTO notes (id, text) VALUES (1, 'one')") }
    }
    #expect(error?.sqlState == "25006")
    await connection.close()
  }

  @Test(
    "Serialization failures are retried until every increment has happened once", arguments: [IsolationLevel.serializable, .repeatableRead])
  func serializationFailures(isolation: IsolationLevel) async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 6) { pool in
      try await pool.query("INSERT INTO counters VALUES ('c', 0)")
      let attempts = Counter()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<6 {
          group.addTask {
            for _ in 0..<10 {
              try await pool.transaction(isolation: isolation, retries: 100) { transaction in
                await attempts.increment()
                let value = try await transaction.query("SELECT value FROM counters WHERE name = 'c'").first?.int64("value") ?? 0
                try await transaction.query("UPDATE counters SET value = $1 WHERE name = 'c'", [.int64(value + 1)])
              }
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await pool.query("SELECT value FROM counters").first?.int64("value") == 60)
      // The conflict was real.
      #expect(await attempts.value > 60)
    }
  }

  @Test("A conflict that does not go away is reported after the last retry, even if the body hides the cause")
  func retriesEnd() async throws {
    let connection = try await TestDatabase.notes().connect()
    let attempts = Counter()
    await #expect(throws: Changed()) {
      try await connection.transaction(retries: 3) { transaction in
        await attempts.increment()
        do { try await transaction.query("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$") } catch { throw Changed() }
      }
    }
    #expect(await attempts.value == 4)
    await connection.close()
  }

  @Test("Deadlocks are resolved by running one of the two again")
  func deadlocks() async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 4) { pool in
      try await pool.query("INSERT INTO counters VALUES ('a', 0), ('b', 0)")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for order in [["a", "b"], ["b", "a"]] {
          group.addTask {
            for _ in 0..<3 {
              try await pool.transaction(retries: 20) { transaction in
                for name in order {
                  try await transaction.query("UPDATE counters SET value = value + 1 WHERE name = $1", [.text(name)])
                  try await transaction.query("SELECT pg_sleep(0.02)")
                }
              }
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await pool.query("SELECT value FROM counters").map { try $0.int64("value") } == [6, 6])
    }
  }
}

actor Counter {
  private(set) var value = 0
  func increment() { value += 1 }
}
