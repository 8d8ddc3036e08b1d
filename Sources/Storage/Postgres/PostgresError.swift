/// Why a statement, a transaction or a connection failed, and what is known about its effect.
public struct PostgresError: Error, Sendable, Hashable {
  public enum Code: Sendable, Hashable {
    /// The server refused a statement, with this SQLSTATE (PostgreSQL manual, appendix A). It had no effect.
    case sqlState(String)
    /// No connection could be made: nothing was sent. `message` says what libpq reported.
    case unreachable
    /// The server or its settings, or our own identity files, are not acceptable. Trying again does not help.
    case refused
    /// The connection broke; no COMMIT had been sent, so nothing took effect.
    case connectionLost
    /// The connection broke, or the time ran out, after a COMMIT (or a self-committing statement) was sent.
    /// It may or may not have taken effect: look it up by its id before trying again.
    case commitUnknown
    /// The deadline passed, or the server cut the statement at its statement_timeout. Nothing took effect.
    case timedOut
    /// The task was cancelled. Nothing took effect.
    case cancelled
    /// No connection became free in time, or too many callers wait already.
    case poolExhausted
    /// The pool is closing or closed.
    case poolClosed
    /// COMMIT was answered with ROLLBACK, because a statement's error had been swallowed. Nothing took effect.
    case transactionAborted
    /// A column that was read as not null is null.
    case unexpectedNull
    /// The result has no column of that name.
    case unknownColumn
    /// A column is of another type than it was read as.
    case typeMismatch
    /// The caller broke a rule of this module; `message` says which.
    case misuse
  }

  public var code: Code
  /// For operators. Primary messages of the server only: never its detail, which may quote rows.
  public var message: String
  public var constraint: String?
  public var schema: String?
  public var table: String?
  public var column: String?
  /// The beginning of the statement, which never contains values.
  public var statement: String?

  public init(
    _ code: Code, _ message: String, constraint: String? = nil, schema: String? = nil, table: String? = nil,
    column: String? = nil, statement: String? = nil
  ) {
    self.code = code
    self.message = message
    self.constraint = constraint
    self.schema = schema
    self.table = table
    self.column = column
    self.statement = statement
  }

  /// The five characters of the SQLSTATE, if the server gave one.
  public var sqlState: String? {
    if case .sqlState(let state) = code { state } else { nil }
  }

  /// 23505.
  public var isUniqueViolation: Bool { sqlState == "23505" }
  /// 23503.
  public var isForeignKeyViolation: Bool { sqlState == "23503" }
  /// 23514. Also what an insert gets for which there is no partition.
  public var isCheckViolation: Bool { sqlState == "23514" }
  /// 23502.
  public var isNotNullViolation: Bool { sqlState == "23502" }
  /// 40001.
  public var isSerializationFailure: Bool { sqlState == "40001" }
  /// 40P01.
  public var isDeadlock: Bool { sqlState == "40P01" }
  /// 42501.
  public var isInsufficientPrivilege: Bool { sqlState == "42501" }
  /// 55P03: a lock was not to be had without waiting, or not in time.
  public var isLockNotAvailable: Bool { sqlState == "55P03" }

  /// The whole transaction may be run again: it had no effect, and the reason was another transaction (40001, 40P01).
  public var isRetryableTransaction: Bool { isSerializationFailure || isDeadlock }

  /// The database could not be asked at all: a caller of ours is to be told UNAVAILABLE.
  public var isUnavailable: Bool {
    switch code {
    case .unreachable, .refused, .connectionLost, .poolExhausted, .poolClosed: true
    // Class 57P is the server's own shutdown or crash, 53 its lack of resources.
    case .sqlState(let state): state.hasPrefix("57P") || state.hasPrefix("53")
    default: false
    }
  }
}

extension PostgresError: CustomStringConvertible {
  public var description: String {
    var text = "postgres: "
    switch code {
    case .sqlState(let state): text += "SQLSTATE \(state): \(message)"
    default: text += "\(code): \(message)"
    }
    if let constraint { text += " [constraint \(constraint)]" }
    if let table { text += " [table \(table)]" }
    if let statement { text += " [in: \(statement)]" }
    return text
  }
}
