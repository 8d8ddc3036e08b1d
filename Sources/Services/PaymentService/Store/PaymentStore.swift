internal import FlorinAPI
internal import Idempotency
internal import Money
internal import Outbox
internal import Postgres
internal import SagaEngine
internal import Telemetry

/// Payments and their keys in the database.
struct PaymentStore: Sendable {
  let pool: PostgresPool

  /// What became of a claim.
  enum ClaimResult: Sendable {
    /// The key was new: payment, saga, lease and key are committed, and the saga is ours to run.
    case claimed(SagaLease)
    /// The key names a payment already.
    case taken(KeyedPayment)
    /// This process's clock and PostgreSQL's disagree: nothing was stored.
    case clockSkewed
  }

  /// A new payment, with everything that is committed with it.
  struct NewPayment: Sendable {
    let order: PaymentOrder
    let fingerprint: RequestFingerprint
    let owner: UUID128
    let definition: SagaDefinition<PaymentAction>
    /// `started`, and the intent of the first step.
    let events: [SagaEvent]
    let summary: String
    /// The accepted payment, for the outbox.
    let announcement: [UInt8]
    let callerPath: String
  }

  /// The permanent row decides: whoever inserts it has the key. A second inserter waits for the first one's transaction here.
  /// A claim whose instant is far from PostgreSQL's is no claim: all ids of the saga would carry it.
  private static let insertPayment: StaticString = """
    INSERT INTO payment.payments (payment_id, caller, method, idempotency_key, payer_account_id, payee_account_id, amount, currency,
      claimed_at, traceparent)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
    WHERE $9::timestamptz BETWEEN clock_timestamp() - interval '30 seconds' AND clock_timestamp() + interval '5 seconds'
    ON CONFLICT (payment_id) DO NOTHING
    """

  private static let lookUp: StaticString = """
    SELECT s.*, k.fingerprint, k.response, k.status_code, k.expires_at, clock_timestamp() AS now
    FROM payment.payment_states s
    LEFT JOIN payment.idempotency_keys k ON (k.key, k.caller, k.method) = (s.idempotency_key, s.caller, s.method)
    WHERE s.payment_id = $1
    """

  private static let insertKey: StaticString = """
    INSERT INTO payment.idempotency_keys (key, created_at, caller, method, fingerprint, payment_id)
    VALUES ($1, $2, $3, $4, $5, $6)
    """

  private static let insertLease: StaticString = """
    INSERT INTO payment.saga_leases (saga_id, claimed_at, owner, epoch, lease_until, next_attempt_at, last_seq, state, summary)
    VALUES ($1, $2, $3, 1, clock_timestamp() + $4::bigint * interval '1 millisecond', clock_timestamp(), $5::integer, 'running', $6)
    """

  /// Claims the key: payment, key, lease, the saga's first events, outbox and audit rows, in one transaction.
  func claim(_ new: NewPayment) async throws -> ClaimResult {
    let (order, scope) = (new.order, new.order.scope)
    let lease = SagaLease(sagaID: order.paymentID, owner: new.owner, epoch: 1, lastSequence: new.events.count, attempts: 0)
    var unwritten = lease
    unwritten.lastSequence = 0
    let log = SagaLog(definition: new.definition).appendParameters(new.events, unwritten)
    return try await pool.transaction { transaction in
      let inserted = try await transaction.execute(
        Self.insertPayment,
        [
          .uuid(order.paymentID.uuid), .text(scope.caller), .text(scope.method), .uuid(scope.key.uuid), .text(order.payer.name),
          .text(order.payee.name), .int64(order.amount.minorUnits), .text(order.amount.currency.code), .timestamp(order.claimedAt),
          .text(orNull: order.traceparent),
        ])
      guard inserted == 1 else {
        guard let row = try await transaction.query(Self.lookUp, [.uuid(order.paymentID.uuid)]).first else { return .clockSkewed }
        return .taken(try Self.keyed(row))
      }
      let written = try await transaction.results(of: [
        SQLStatement(
          Self.insertKey,
          [
            .uuid(scope.key.uuid), .timestamp(order.claimedAt), .text(scope.caller), .text(scope.method), .bytes(new.fingerprint.bytes),
            .uuid(order.paymentID.uuid),
          ]),
        SQLStatement(
          Self.insertLease,
          [
            .uuid(order.paymentID.uuid), .timestamp(order.claimedAt), .uuid(new.owner), .int64(SagaLog.leaseMilliseconds),
            .int64(Int64(new.events.count)), .text(new.summary),
          ]),
        SQLStatement(SagaLog.append, log),
        Outbox.statement(
          OutboxEvent(
            aggregate: order.paymentID.description, type: "payment.accepted", payload: new.announcement, traceparent: order.traceparent)),
        // Last, because the lane of the audit chain is locked until the commit.
        AuditLog.statement(
          AuditRecord(
            actor: "/" + new.callerPath, action: "payment.create", subject: "payment/\(order.paymentID)", outcome: "accepted",
            detail: ["idempotency_key": scope.key.description, "method": scope.method], traceID: TraceIdentity.current?.traceID)),
      ])
      guard written.prefix(3).map(\.affectedRows) == [1, 1, new.events.count] else { throw LeaseLost(sagaID: order.paymentID) }
      return .claimed(lease)
    }
  }

  /// The payment of a key, if there is one.
  func keyed(_ id: PaymentID) async throws -> KeyedPayment? {
    try await pool.query(Self.lookUp, [.uuid(id.uuid)]).first.map { try Self.keyed($0) }
  }

  private static func keyed(_ row: SQLRow) throws -> KeyedPayment {
    var key: KeyRecord?
    if let fingerprint = try row.bytesOrNil("fingerprint").flatMap(RequestFingerprint.init(bytes:)) {
      var reply: StoredReply?
      if let message = try row.bytesOrNil("response") { reply = StoredReply(statusCode: try row.int32("status_code"), message: message) }
      key = KeyRecord(fingerprint: fingerprint, reply: reply, expiresAt: try row.timestampOrNil("expires_at"))
    }
    return KeyedPayment(payment: try PaymentRecord(row), key: key, now: try row.timestamp("now"))
  }

  func payment(_ id: PaymentID) async throws -> PaymentRecord? {
    try await pool.query("SELECT * FROM payment.payment_states WHERE payment_id = $1", [.uuid(id.uuid)]).first.map { try PaymentRecord($0) }
  }

  /// Newest first.
  func payments(limit: Int, state: PaymentRecord.State?, before: Timestamp?) async throws -> [PaymentRecord] {
    let before = SQLValue.timestamp(orNull: before)
    guard let state else {
      return try await pool.query(
        """
        SELECT * FROM payment.payment_states WHERE claimed_at < coalesce($1::timestamptz, 'infinity')
        ORDER BY claimed_at DESC, payment_id LIMIT $2::bigint
        """, [before, .int64(Int64(limit))]
      ).map { try PaymentRecord($0) }
    }
    guard state.isFinal else {
      // Few: what is open stands in the leases.
      return try await pool.query(
        """
        SELECT s.* FROM payment.saga_leases l JOIN payment.payment_states s ON s.payment_id = l.saga_id
        WHERE s.state = $1 AND l.claimed_at < coalesce($2::timestamptz, 'infinity')
        ORDER BY l.claimed_at DESC, l.saga_id LIMIT $3::bigint
        """, [.text(state.rawValue), before, .int64(Int64(limit))]
      ).map { try PaymentRecord($0) }
    }
    return try await pool.query(
      """
      SELECT s.* FROM (
        SELECT payment_id FROM payment.payment_outcomes WHERE state = $1 AND claimed_at < coalesce($2::timestamptz, 'infinity')
        ORDER BY claimed_at DESC, payment_id LIMIT $3::bigint) o
      JOIN payment.payment_states s USING (payment_id)
      ORDER BY s.claimed_at DESC, s.payment_id
      """, [.text(state.rawValue), before, .int64(Int64(limit))]
    ).map { try PaymentRecord($0) }
  }

  /// Records that a request was answered by replay, or refused because of its key: facts for whoever looks for a misbehaving client.
  func audit(_ action: String, outcome: String, of id: PaymentID, by callerPath: String, _ detail: [String: String] = [:]) async throws {
    try await AuditLog.append(
      AuditRecord(
        actor: "/" + callerPath, action: action, subject: "payment/\(id)", outcome: outcome, detail: detail,
        traceID: TraceIdentity.current?.traceID),
      in: pool)
  }

  /// Removes keys whose time is over, at most `limit`; the payments stay. Returns how many.
  func sweepExpiredKeys(limit: Int = 1_000) async throws -> Int {
    try await pool.execute(
      """
      DELETE FROM payment.idempotency_keys WHERE (key, caller, method) IN (
        SELECT key, caller, method FROM payment.idempotency_keys WHERE expires_at <= clock_timestamp() LIMIT $1::bigint)
      """, [.int64(Int64(limit))])
  }

  /// Makes the saga log's partitions of the coming months. Returns how many were missing.
  func ensureMonths() async throws -> Int64 {
    try await pool.query("SELECT payment.ensure_saga_log_months() AS made").first?.int64("made") ?? 0
  }
}
