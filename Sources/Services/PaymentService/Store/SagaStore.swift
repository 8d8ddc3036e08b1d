internal import FlorinAPI
internal import Idempotency
internal import Money
internal import Outbox
internal import Postgres
internal import SagaEngine
internal import Telemetry

/// Open sagas in the database: loading, writing on, ending, and taking over those that nobody runs.
struct SagaStore: Sendable {
  let pool: PostgresPool
  let lifetime: KeyLifetime

  /// A saga that this process has just taken over.
  struct Loaded: Sendable {
    let order: PaymentOrder
    let machine: SagaStateMachine<PaymentAction>
    let lease: SagaLease
  }

  /// Appends events in one round trip.
  /// - Throws: `LeaseLost`; `PostgresError`, where `.commitUnknown` leaves open whether they were written: load again.
  func append(
    _ events: [SagaEvent], to machine: SagaStateMachine<PaymentAction>, under lease: SagaLease, schedule: SagaSchedule
  ) async throws {
    let statements = SagaLog(definition: machine.definition)
      .statements(appending: events, under: lease, summary: machine.phaseName, schedule: schedule)
    try SagaLog.verify(try await pool.results(of: statements)[...], wrote: events.count, under: lease)
  }

  /// The end of a saga, as it is stored.
  struct Ending: Sendable {
    let events: [SagaEvent]
    let state: PaymentRecord.State
    let reason: String
    let finishedAt: Timestamp
    /// The final reply, encoded.
    let reply: [UInt8]
    let detail: [String: String]
  }

  private static let insertOutcome: StaticString = """
    INSERT INTO payment.payment_outcomes (payment_id, claimed_at, state, reason, finished_at)
    SELECT l.saga_id, l.claimed_at, $4, $5, $6 FROM payment.saga_leases l WHERE l.saga_id = $1 AND l.owner = $2 AND l.epoch = $3
    """

  private static let storeReply: StaticString = """
    UPDATE payment.idempotency_keys k SET response = $4, status_code = 0, finished_at = $5, expires_at = $6
    FROM payment.saga_leases l
    WHERE (k.key, k.caller, k.method) = ($7::uuid, $8::text, $9::text) AND k.payment_id = $1
      AND l.saga_id = $1 AND l.owner = $2 AND l.epoch = $3
    """

  private static let endLease: StaticString = "DELETE FROM payment.saga_leases WHERE saga_id = $1 AND owner = $2 AND epoch = $3"

  private static let holdForPerson: StaticString = """
    UPDATE payment.saga_leases SET state = 'manual', reason = $4, lease_until = clock_timestamp()
    WHERE saga_id = $1 AND owner = $2 AND epoch = $3
    """

  /// Ends a saga: the last events, the outcome, the reply to its key, outbox and audit rows, in one transaction.
  /// For `.manual` there is no outcome and no reply yet: a person will decide.
  func end(_ ending: Ending, of order: PaymentOrder, _ machine: SagaStateMachine<PaymentAction>, under lease: SagaLease) async throws {
    let fence: [SQLValue] = [.uuid(lease.sagaID.uuid), .uuid(lease.owner), .int64(lease.epoch)]
    var statements = SagaLog(definition: machine.definition).statements(appending: ending.events, under: lease, summary: machine.phaseName)
    if ending.state == .manual {
      statements.append(SQLStatement(Self.holdForPerson, fence + [.text(ending.reason)]))
    } else {
      let expiry = lifetime.expiry(finishedAt: ending.finishedAt)
      statements.append(
        SQLStatement(Self.insertOutcome, fence + [.text(ending.state.rawValue), .text(ending.reason), .timestamp(ending.finishedAt)]))
      statements.append(
        SQLStatement(
          Self.storeReply,
          fence + [
            .bytes(ending.reply), .timestamp(ending.finishedAt), .timestamp(expiry), .uuid(order.scope.key.uuid), .text(order.scope.caller),
            .text(order.scope.method),
          ]))
      statements.append(SQLStatement(Self.endLease, fence))
    }
    let fenced = statements.count
    let name = "payment." + ending.state.rawValue.lowercased()
    var detail = ending.detail
    if !ending.reason.isEmpty { detail["reason"] = ending.reason }
    statements.append(
      Outbox.statement(
        OutboxEvent(aggregate: order.paymentID.description, type: name, payload: ending.reply, traceparent: order.traceparent)))
    // Last, because the lane of the audit chain is locked until the commit.
    statements.append(
      AuditLog.statement(
        AuditRecord(
          actor: "/payment", action: name, subject: "payment/\(order.paymentID)", outcome: ending.state.rawValue.lowercased(),
          detail: detail, traceID: TraceIdentity.current?.traceID)))
    let batch = statements
    do {
      try await pool.transaction { transaction in
        let results = try await transaction.results(of: batch)
        try SagaLog.verify(results[..<2], wrote: ending.events.count, under: lease)
        guard results[2..<fenced].allSatisfy({ $0.affectedRows == 1 }) else { throw LeaseLost(sagaID: lease.sagaID) }
      }
    } catch let error as PostgresError where error.code == .commitUnknown {
      // The commonest answer lost is the one to COMMIT; if it was done, nobody else will tell those who wait.
      guard try await isWritten(lease, upTo: lease.lastSequence + ending.events.count) else { throw error }
    }
  }

  /// Whether the log has this event, written under this lease.
  private func isWritten(_ lease: SagaLease, upTo sequence: Int) async throws -> Bool {
    let found = try await pool.query(
      """
      SELECT 1 AS one FROM payment.saga_log
      WHERE claimed_at = (SELECT claimed_at FROM payment.payments WHERE payment_id = $1) AND saga_id = $1 AND seq = $2::integer
        AND owner = $3 AND epoch = $4
      """, [.uuid(lease.sagaID.uuid), .int64(Int64(sequence)), .uuid(lease.owner), .int64(lease.epoch)])
    return !found.isEmpty
  }

  private static let takeOver: StaticString = """
    WITH due AS (
      SELECT saga_id FROM payment.saga_leases
      WHERE state <> 'manual' AND next_attempt_at <= clock_timestamp()
        AND (lease_until <= clock_timestamp() OR owner = $1) AND NOT saga_id = ANY($2::uuid[])
      ORDER BY next_attempt_at LIMIT $3::bigint FOR UPDATE SKIP LOCKED)
    UPDATE payment.saga_leases l SET owner = $1, epoch = l.epoch + 1, state = 'running', reason = '',
      lease_until = clock_timestamp() + $4::bigint * interval '1 millisecond'
    FROM due WHERE l.saga_id = due.saga_id
    RETURNING l.saga_id, l.epoch, l.last_seq, l.attempts
    """

  /// Takes over sagas that are due and that nobody runs, this process included: those whose lease ran out, and our own that no
  /// task of ours works on any more.
  /// - Parameter running: what this process works on; left alone.
  func takeOver(owner: UUID128, except running: [PaymentID], limit: Int) async throws -> [SagaLease] {
    try await pool.query(
      Self.takeOver, [.uuid(owner), .uuidArray(running.map(\.uuid)), .int64(Int64(limit)), .int64(SagaLog.leaseMilliseconds)]
    ).map { row in
      SagaLease(
        sagaID: PaymentID(try row.uuid("saga_id")), owner: owner, epoch: try row.int64("epoch"),
        lastSequence: Int(try row.int64("last_seq")), attempts: Int(try row.int64("attempts")))
    }
  }

  /// Rebuilds a saga from its log.
  /// - Throws: `SagaHistoryError`, `StoredPaymentError`: quarantine it. `PostgresError`: try later.
  func load(_ lease: SagaLease, _ catalogue: SagaCatalogue<PaymentAction>) async throws -> Loaded {
    let id = SQLValue.uuid(lease.sagaID.uuid)
    let results = try await pool.pipeline([
      SQLStatement("SELECT * FROM payment.payment_states WHERE payment_id = $1", [id]),
      SQLStatement(
        """
        SELECT g.* FROM payment.saga_log g
        WHERE g.claimed_at = (SELECT claimed_at FROM payment.payments WHERE payment_id = $1) AND g.saga_id = $1 ORDER BY g.seq
        """, [id]),
    ])
    guard let row = results[0].first else { throw StoredPaymentError.unreadable(lease.sagaID) }
    let order = try PaymentRecord(row).order
    var rows: [(sequence: Int, record: SagaEventRecord)] = []
    for row in results[1] { rows.append((Int(try row.int64("seq")), try SagaEventRecord(row))) }
    let machine = try catalogue.replay(rows: rows)
    // The lease counts the events too; if they disagree, somebody has touched one or the other.
    guard rows.count == lease.lastSequence else { throw SagaHistoryError.gap(expected: lease.lastSequence, found: rows.count) }
    for row in results[1] {
      guard let step = try row.int64OrNil("step") else { continue }
      guard machine.definition.steps[Int(step)].action.name == (try row.textOrNil("step_name")) else {
        throw SagaHistoryError.undecodable(sequence: Int(try row.int64("seq")), detail: "its step has another name in this build")
      }
    }
    return Loaded(order: order, machine: machine, lease: lease)
  }

  /// Puts a saga that this build cannot understand aside, for a build that can: it is looked at again every few minutes.
  func quarantine(_ lease: SagaLease, because detail: String) async throws {
    try await pool.transaction { transaction in
      let changed = try await transaction.execute(
        """
        UPDATE payment.saga_leases SET state = 'quarantined', reason = 'quarantined', lease_until = clock_timestamp(),
          next_attempt_at = clock_timestamp() + interval '5 minutes'
        WHERE saga_id = $1 AND owner = $2 AND epoch = $3
        """, [.uuid(lease.sagaID.uuid), .uuid(lease.owner), .int64(lease.epoch)])
      guard changed == 1 else { throw LeaseLost(sagaID: lease.sagaID) }
      try await AuditLog.append(
        AuditRecord(
          actor: "/payment", action: "payment.quarantined", subject: "payment/\(lease.sagaID)", outcome: "quarantined",
          detail: ["detail": detail], traceID: TraceIdentity.current?.traceID),
        in: transaction)
    }
  }

  /// Lets a saga that waits for its next attempt be tried now: somebody is asking for it.
  func hasten(_ id: PaymentID) async throws {
    try await pool.execute(
      """
      UPDATE payment.saga_leases SET next_attempt_at = clock_timestamp()
      WHERE saga_id = $1 AND state = 'running' AND lease_until <= clock_timestamp() AND next_attempt_at > clock_timestamp()
      """, [.uuid(id.uuid)])
  }

  /// Open sagas by state, for the metrics.
  func counts() async throws -> [String: Int64] {
    var counts: [String: Int64] = ["running": 0, "manual": 0, "quarantined": 0]
    for row in try await pool.query("SELECT state, count(*) AS sagas FROM payment.saga_leases GROUP BY state") {
      counts[try row.text("state")] = try row.int64("sagas")
    }
    return counts
  }
}
