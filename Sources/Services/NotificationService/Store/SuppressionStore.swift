internal import FlorinAPI
internal import Money
internal import Outbox
internal import Postgres
internal import ProtobufCodec
internal import Telemetry

/// Whether an account may be written to, as one event says: a row of `notification.suppression_events`.
struct Suppression: Hashable, Sendable {
  let account: AccountID
  let sequence: Int32
  let suppressed: Bool
  let reason: String
  let caller: String
  let createdAt: Timestamp

  init(_ row: SQLRow, of account: AccountID) throws {
    self.account = account
    sequence = try row.int32("sequence")
    suppressed = try row.bool("suppressed")
    reason = try row.text("reason")
    caller = try row.text("requested_by")
    createdAt = try row.timestamp("created_at")
  }
}

/// Suppression events in the database. Nothing is ever changed: the newest event of an account counts.
struct SuppressionStore: Sendable {
  let pool: PostgresPool

  /// Appends an event unless it is so already. Returns whether it appended one.
  func set(_ account: AccountID, suppressed: Bool, reason: String, by actor: String, at time: Timestamp) async throws -> Bool {
    // Two that come at the same time collide in the primary key: the loser looks again.
    for _ in 0..<4 {
      do {
        return try await pool.transaction { transaction in
          let current = try await Self.current(account, in: transaction)
          guard suppressed != (current?.suppressed ?? false) else { return false }
          try await append(
            account, sequence: (current?.sequence ?? 0) + 1, suppressed: suppressed, reason: reason, by: actor, at: time, in: transaction)
          return true
        }
      } catch let error as PostgresError where error.isUniqueViolation { continue }
    }
    throw PostgresError(.sqlState("40001"), "others keep changing the suppression of one account")
  }

  private func append(
    _ account: AccountID, sequence: Int32, suppressed: Bool, reason: String, by actor: String, at time: Timestamp,
    in transaction: PostgresTransaction
  ) async throws {
    try await transaction.execute(
      """
      INSERT INTO notification.suppression_events (account_id, sequence, suppressed, reason, requested_by, created_at)
      VALUES ($1, $2, $3, $4, $5, $6)
      """,
      [.text(account.name), .int32(sequence), .bool(suppressed), .text(reason), .text(actor), .timestamp(time)])
    let action = suppressed ? "notification.suppressed" : "notification.unsuppressed"
    let payload = NotificationAPI.SetSuppressionRequest(accountID: account.name, suppressed: suppressed, reason: reason)
    try await Outbox.append(
      OutboxEvent(
        aggregate: account.name, type: action, payload: try payload.serialized(), traceparent: TraceIdentity.current?.traceparent),
      in: transaction)
    try await AuditLog.append(
      AuditRecord(
        actor: actor, action: action, subject: "account/\(account.name)", outcome: "done", detail: ["reason": reason],
        traceID: TraceIdentity.current?.traceID),
      in: transaction)
  }

  /// The newest event of the account, or nil.
  static func current(_ account: AccountID, in executor: any SQLExecutor) async throws -> Suppression? {
    try await executor.query(
      "SELECT * FROM notification.suppression_events WHERE account_id = $1 ORDER BY sequence DESC LIMIT 1", [.text(account.name)]
    ).first.map { try Suppression($0, of: account) }
  }

  func event(_ account: AccountID, sequence: Int32) async throws -> Suppression? {
    try await pool.query(
      "SELECT * FROM notification.suppression_events WHERE account_id = $1 AND sequence = $2", [.text(account.name), .int32(sequence)]
    ).first.map { try Suppression($0, of: account) }
  }
}
