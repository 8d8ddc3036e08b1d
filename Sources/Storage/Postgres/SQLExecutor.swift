/// One statement with its parameters.
public struct SQLStatement: Sendable {
  public var sql: StaticString
  public var parameters: [SQLValue]

  public init(_ sql: StaticString, _ parameters: [SQLValue] = []) {
    self.sql = sql
    self.parameters = parameters
  }

  /// The first words: enough to recognise it in a log or a span. Never contains values.
  var summary: String {
    let text = sql.withUTF8Buffer { String(decoding: $0.prefix(160), as: UTF8.self) }
    return text.split(whereSeparator: \.isWhitespace).joined(separator: " ").prefix(80).description
  }
}

/// What can run statements: a connection (each statement commits by itself), a transaction, a pool (like a connection).
public protocol SQLExecutor: Sendable {
  /// Runs the statements in order in one round trip. Outside a transaction they are one transaction; the first error
  /// undoes all of them. At most 1,024 statements.
  func results(of statements: [SQLStatement]) async throws(PostgresError) -> [SQLResult]
}

extension SQLExecutor {
  /// Runs one statement and returns its rows.
  @discardableResult
  public func query(_ sql: StaticString, _ parameters: [SQLValue] = []) async throws(PostgresError) -> [SQLRow] {
    try await results(of: [SQLStatement(sql, parameters)]).first?.rows ?? []
  }

  /// Runs one statement and returns how many rows it inserted, changed, deleted or returned.
  @discardableResult
  public func execute(_ sql: StaticString, _ parameters: [SQLValue] = []) async throws(PostgresError) -> Int {
    try await results(of: [SQLStatement(sql, parameters)]).first?.affectedRows ?? 0
  }

  /// Runs several statements in one round trip and returns the rows of each.
  @discardableResult
  public func pipeline(_ statements: [SQLStatement]) async throws(PostgresError) -> [[SQLRow]] {
    try await results(of: statements).map(\.rows)
  }
}
