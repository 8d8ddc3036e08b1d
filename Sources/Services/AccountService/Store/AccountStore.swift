internal import FlorinAPI
internal import Money
internal import Outbox
internal import Postgres
internal import ProtobufCodec
internal import Telemetry

/// Accounts and their events in the database.
struct AccountStore: Sendable {
  let pool: PostgresPool

  /// What an opening found.
  enum OpeningResult: Sendable {
    /// The account and its first event are committed.
    case opened(eventID: UUID128)
    /// The same caller asked for the same with the same key before.
    case existed(eventID: UUID128)
    /// The key was used for another request.
    case keyReused
  }

  /// Long enough for whoever asked to hear the ledger's answer first.
  private static let queue: StaticString = """
    INSERT INTO account.event_queue (event_id, next_attempt_at) VALUES ($1, clock_timestamp() + interval '5 seconds')
    """

  private static let insertEvent: StaticString = """
    INSERT INTO account.account_events (account_id, sequence, event_id, kind, reason, requested_by, requested_at, traceparent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """

  // MARK: Asking

  /// Commits an account, its opening event and the work that follows from it; or finds what the key did before.
  func requestOpening(_ opening: Opening, at time: Timestamp) async throws -> OpeningResult {
    let id = opening.accountID
    let eventID = AccountEvent.makeID(of: .open, sequence: 1, for: id, at: time)
    return try await pool.transaction { transaction in
      let inserted = try await transaction.execute(
        """
        INSERT INTO account.accounts (account_id, reference, currency, opened_at, opened_by, idempotency_key, fingerprint)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id) DO NOTHING
        """,
        [
          .text(id.name), .text(opening.reference), .text(opening.currency.code), .timestamp(time), .text(opening.caller),
          .uuid(opening.key.uuid), .bytes(opening.fingerprint),
        ])
      guard inserted == 1 else {
        let row = try await transaction.query(
          """
          SELECT e.event_id, (a.opened_by, a.idempotency_key, a.fingerprint) = ($2, $3, $4) AS same
          FROM account.accounts a JOIN account.account_events e ON (e.account_id, e.sequence) = (a.account_id, 1)
          WHERE a.account_id = $1
          """, [.text(id.name), .text(opening.caller), .uuid(opening.key.uuid), .bytes(opening.fingerprint)]
        ).first
        guard let row, try row.bool("same") else { return .keyReused }
        return .existed(eventID: try row.uuid("event_id"))
      }
      try await append(.open, to: id, sequence: 1, eventID: eventID, reason: "", by: opening.actor, at: time, in: transaction)
      return .opened(eventID: eventID)
    }
  }

  /// Commits a change as the account's next event. Nil if another change was first: look again.
  func requestChange(
    _ change: AccountChange, of account: AccountRecord, reason: String, by actor: String, at time: Timestamp
  ) async throws -> UUID128? {
    let sequence = account.lastSequence + 1
    let eventID = AccountEvent.makeID(of: change, sequence: sequence, for: account.id, at: time)
    do {
      try await pool.transaction { transaction in
        try await append(
          change, to: account.id, sequence: sequence, eventID: eventID, reason: reason, by: actor, at: time, in: transaction)
      }
      return eventID
    } catch let error as PostgresError where error.isUniqueViolation { return nil }
  }

  private func append(
    _ change: AccountChange, to account: AccountID, sequence: Int32, eventID: UUID128, reason: String, by actor: String,
    at time: Timestamp, in transaction: PostgresTransaction
  ) async throws {
    let trace = TraceIdentity.current
    try await transaction.pipeline([
      SQLStatement(
        Self.insertEvent,
        [
          .text(account.name), .int32(sequence), .uuid(eventID), .text(change.rawValue), .text(reason), .text(actor),
          .timestamp(time), .text(orNull: trace?.traceparent),
        ]),
      SQLStatement(Self.queue, [.uuid(eventID)]),
    ])
    try await record(
      "\(change.rawValue)_requested", of: account, eventID: eventID, outcome: "requested", reason: reason, by: actor,
      traceparent: trace?.traceparent, in: transaction)
  }

  // MARK: The ledger's answers

  /// The event with its result, if it has one.
  func event(_ id: UUID128) async throws -> AccountEvent? { try await Self.event(id, in: pool) }

  private static func event(_ id: UUID128, in executor: any SQLExecutor) async throws -> AccountEvent? {
    try await executor.query(
      """
      SELECT e.event_id, e.account_id, a.currency, e.kind, e.reason, e.traceparent,
        r.outcome, r.reason AS result_reason, r.booked_at, r.batch_no
      FROM account.account_events e JOIN account.accounts a USING (account_id)
      LEFT JOIN account.account_event_results r USING (event_id) WHERE e.event_id = $1
      """, [.uuid(id)]
    ).first.map { try AccountEvent($0) }
  }

  /// Commits what the ledger decided. Returns false if it had been recorded before: the ledger's answer to one id never changes.
  @discardableResult
  func record(_ result: AccountEvent.Result, of event: AccountEvent, at time: Timestamp) async throws -> Bool {
    let (outcome, reason, bookedAt, batch): (String, String, Timestamp?, Int64?) =
      switch result {
      case .posted(let bookedAt, let batch): ("posted", "", bookedAt, batch)
      case .declined(let reason): ("declined", reason, nil, nil)
      }
    return try await pool.transaction { transaction in
      let inserted = try await transaction.execute(
        """
        INSERT INTO account.account_event_results (event_id, outcome, reason, booked_at, batch_no, recorded_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (event_id) DO NOTHING
        """,
        [
          .uuid(event.id), .text(outcome), .text(reason), .timestamp(orNull: bookedAt), .int64(orNull: batch), .timestamp(time),
        ])
      guard inserted == 1 else { return false }
      try await transaction.execute("DELETE FROM account.event_queue WHERE event_id = $1", [.uuid(event.id)])
      try await record(
        "\(event.change.rawValue)_\(outcome)", of: event.accountID, eventID: event.id, outcome: outcome, reason: reason,
        by: "account", traceparent: event.traceparent, in: transaction)
      return true
    }
  }

  /// Outbox and audit rows. The audit row comes last in its transaction, because the chain is written by one at a time.
  private func record(
    _ action: String, of account: AccountID, eventID: UUID128, outcome: String, reason: String, by actor: String,
    traceparent: String?, in transaction: PostgresTransaction
  ) async throws {
    guard let record = try await Self.account(account, in: transaction) else { throw StoredAccountError.unreadable(account.name) }
    try await Outbox.append(
      OutboxEvent(
        aggregate: account.name, type: "account.\(action)", payload: try record.message.serialized(), traceparent: traceparent),
      in: transaction)
    try await AuditLog.append(
      AuditRecord(
        actor: actor, action: "account.\(action)", subject: "account/\(account.name)", outcome: outcome,
        detail: ["event_id": eventID.description, "reason": reason].filter { !$0.value.isEmpty },
        traceID: TraceIdentity.current?.traceID),
      in: transaction)
  }

  /// Takes events that are due, and puts each off to when it is to be tried again if nobody records a result before: 2 s, 4 s, …
  /// at most 30 s. Several processes may do this at once.
  func takeDueEvents(limit: Int) async throws -> [UUID128] {
    try await pool.query(
      """
      UPDATE account.event_queue SET attempts = attempts + 1,
        next_attempt_at = clock_timestamp() + least(30, power(2, least(attempts, 5) + 1)) * interval '1 second'
      WHERE event_id IN (
        SELECT event_id FROM account.event_queue WHERE next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
      RETURNING event_id
      """, [.int64(Int64(limit))]
    ).map { try $0.uuid("event_id") }
  }

  /// Events without a result.
  func pendingCount() async throws -> Int64 {
    try await pool.query("SELECT count(*) AS pending FROM account.event_queue").first?.int64("pending") ?? 0
  }

  // MARK: Looking

  func account(_ id: AccountID) async throws -> AccountRecord? { try await Self.account(id, in: pool) }

  static func account(_ id: AccountID, in executor: any SQLExecutor) async throws -> AccountRecord? {
    try await executor.query("SELECT * FROM account.account_states WHERE account_id = $1", [.text(id.name)]).first
      .map { try AccountRecord($0) }
  }

  /// In the order of their ids.
  func accounts(after: String, limit: Int) async throws -> [AccountRecord] {
    try await pool.query(
      "SELECT * FROM account.account_states WHERE account_id > $1 ORDER BY account_id LIMIT $2::bigint",
      [.text(after), .int64(Int64(limit))]
    ).map { try AccountRecord($0) }
  }
}
