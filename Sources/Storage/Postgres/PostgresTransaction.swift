/// A transaction under way. Valid inside the closure that got it; later use is refused.
public struct PostgresTransaction: SQLExecutor {
  let connection: PostgresConnection
  let scope: TransactionScope

  public func results(of statements: [SQLStatement]) async throws(PostgresError) -> [SQLResult] {
    try await connection.run(statements, in: scope)
  }

  /// Runs a text of many statements by the simple protocol, for schema changes. No parameters, no rows.
  public func script(_ sql: StaticString) async throws(PostgresError) {
    try await connection.script(sql, in: scope)
  }
}

/// Which transaction a statement belongs to, and how that is opened. BEGIN travels with the first statement.
struct TransactionScope: Sendable {
  var id: UInt64
  var begin: StaticString
}

/// PostgreSQL manual, Transaction Isolation.
public enum IsolationLevel: Sendable, Hashable {
  case readCommitted, repeatableRead, serializable

  func begin(readOnly: Bool) -> StaticString {
    switch (self, readOnly) {
    case (.readCommitted, false): "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    case (.readCommitted, true): "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
    case (.repeatableRead, false): "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"
    case (.repeatableRead, true): "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    case (.serializable, false): "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
    case (.serializable, true): "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"
    }
  }
}
