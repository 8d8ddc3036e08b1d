internal import Money
internal import Postgres
internal import SagaEngine
internal import Telemetry

/// The sagas in the database: their append-only log, and who may write to it.
struct SagaLog: Sendable {
  /// A lease that is not renewed for so long may be taken by anyone. Every write renews it.
  static let leaseMilliseconds: Int64 = 10_000

  /// Renews the lease and announces how far the log will go. Locks the lease's row until the transaction ends, so that a thief
  /// waits for us, or we find that he was first.
  private static let renew: StaticString = """
    UPDATE payment.saga_leases SET last_seq = $4::integer + $5::integer, attempts = $6::integer, summary = $7,
      next_attempt_at = CASE WHEN $8::bigint = 0 THEN next_attempt_at ELSE clock_timestamp() + $8 * interval '1 millisecond' END,
      lease_until = CASE WHEN $9 THEN clock_timestamp() + $10::bigint * interval '1 millisecond' ELSE clock_timestamp() END
    WHERE saga_id = $1 AND owner = $2 AND epoch = $3 AND last_seq = $4::integer AND state = 'running'
    """

  /// Appends events, if the lease is still the one it is done under: checked in this very statement.
  static let append: StaticString = """
    INSERT INTO payment.saga_log (saga_id, seq, claimed_at, owner, epoch, trace_id, kind, step, step_name, attempt, outcome, reason,
      detail, step_id, request, compensation_id, compensation_request, definition, version)
    SELECT l.saga_id, $4::integer + e.n::integer, l.claimed_at, l.owner, l.epoch, $5, e.kind, e.step::smallint, e.step_name,
      e.attempt::integer, e.outcome, e.reason, e.detail, e.step_id, e.request, e.compensation_id, e.compensation_request,
      e.definition, e.version::integer
    FROM payment.saga_leases l
    CROSS JOIN unnest($6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::uuid[],
      $14::bytea[], $15::uuid[], $16::bytea[], $17::text[], $18::bigint[]) WITH ORDINALITY
      AS e(kind, step, step_name, attempt, outcome, reason, detail, step_id, request, compensation_id, compensation_request,
        definition, version, n)
    WHERE l.saga_id = $1 AND l.owner = $2 AND l.epoch = $3 AND l.last_seq = $4::integer + cardinality($6::text[])
    """

  let definition: SagaDefinition<PaymentAction>

  /// The two statements of every write: renew, append. `verify` must be given their results.
  func statements(
    appending events: [SagaEvent], under lease: SagaLease, summary: String, schedule: SagaSchedule = .running
  ) -> [SQLStatement] {
    [
      SQLStatement(
        Self.renew,
        [
          .uuid(lease.sagaID.uuid), .uuid(lease.owner), .int64(lease.epoch), .int64(Int64(lease.lastSequence)),
          .int64(Int64(events.count)), .int64(Int64(lease.attempts)), .text(summary), .int64(schedule.delayMilliseconds),
          .bool(schedule.keepsLease), .int64(Self.leaseMilliseconds + schedule.delayMilliseconds),
        ]),
      SQLStatement(Self.append, appendParameters(events, lease)),
    ]
  }

  /// - Throws: `LeaseLost` unless exactly one lease was renewed and every event was appended. The caller's transaction must end
  ///   with that error.
  static func verify(_ results: ArraySlice<SQLResult>, wrote count: Int, under lease: SagaLease) throws(LeaseLost) {
    guard results.map(\.affectedRows) == [1, count] else { throw LeaseLost(sagaID: lease.sagaID) }
  }

  /// The append alone, for the transaction that creates lease and saga.
  func appendParameters(_ events: [SagaEvent], _ lease: SagaLease) -> [SQLValue] {
    let records = events.map { SagaEventRecord($0) }
    return [
      .uuid(lease.sagaID.uuid), .uuid(lease.owner), .int64(lease.epoch), .int64(Int64(lease.lastSequence)),
      .text(orNull: TraceIdentity.current?.traceID), .textArray(records.map(\.kind)),
      .nullableInt64Array(records.map { $0.step.map(Int64.init) }),
      .nullableTextArray(records.map { $0.step.map { definition.steps[$0].action.name } }),
      .nullableInt64Array(records.map { $0.attempt.map(Int64.init) }), .nullableTextArray(records.map(\.outcome)),
      .nullableTextArray(records.map(\.reason)), .nullableTextArray(records.map { $0.detail.map(Self.bounded) }),
      .nullableUUIDArray(records.map(\.stepID)), .nullableBytesArray(records.map(\.request)),
      .nullableUUIDArray(records.map(\.compensationID)), .nullableBytesArray(records.map(\.compensationRequest)),
      .nullableTextArray(records.map(\.definition)), .nullableInt64Array(records.map { $0.version.map(Int64.init) }),
    ]
  }

  /// What a peer says is kept, but not as much as it likes, and not what PostgreSQL cannot hold.
  private static func bounded(_ detail: String) -> String {
    String(String.UnicodeScalarView(detail.unicodeScalars.lazy.filter { $0.value != 0 }.prefix(500)))
  }
}

extension SagaEventRecord {
  /// From a row of `payment.saga_log`.
  init(_ row: SQLRow) throws(PostgresError) {
    self.init(
      kind: try row.text("kind"), step: try row.int64OrNil("step").map { Int($0) }, attempt: try row.int64OrNil("attempt").map { Int($0) },
      outcome: try row.textOrNil("outcome"), reason: try row.textOrNil("reason"), detail: try row.textOrNil("detail"),
      stepID: try row.uuidOrNil("step_id"), request: try row.bytesOrNil("request"), compensationID: try row.uuidOrNil("compensation_id"),
      compensationRequest: try row.bytesOrNil("compensation_request"), definition: try row.textOrNil("definition"),
      version: try row.int64OrNil("version").map { Int($0) })
  }
}
