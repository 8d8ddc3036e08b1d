public import Money
public import Postgres

/// The chained audit log of a service: appended to in the transaction of the change that it tells of.
public enum AuditLog {
  /// Appends the record to the chain of its subject's lane.
  ///
  /// The lane stays locked until the transaction ends, so append last. Two transactions that append to several lanes in
  /// different orders may deadlock; one of them is then run again (`PostgresPool.transaction`).
  /// - Parameter at: when it happened; nil: now. The row's own time is always the database's.
  public static func append(_ record: AuditRecord, at: Timestamp? = nil, in executor: some SQLExecutor) async throws(PostgresError) {
    try await executor.query(append.sql, statement(record, at: at).parameters)
  }

  /// The same as a statement, for a pipeline.
  public static func statement(_ record: AuditRecord, at: Timestamp? = nil) -> SQLStatement {
    SQLStatement(
      append.sql,
      [
        .text(record.actor), .text(record.action), .text(record.subject), .text(record.outcome), .text(record.detailJSON),
        .text(record.traceID ?? ""), .timestamp(orNull: at),
      ])
  }

  private static let append = SQLStatement("SELECT lane, lane_number FROM append_audit($1, $2, $3, $4, $5::json, $6, $7)")

  /// Walks all sixteen chains and computes every hash again. Finds a row that was changed, removed, added or moved, also at the end.
  /// Reads in pages, in constant memory; rows appended meanwhile are checked too.
  /// - Returns: how many rows there are, and the first one that is wrong, lane by lane.
  public static func verify(in executor: some SQLExecutor) async throws(PostgresError) -> AuditVerification {
    var verification = AuditVerification()
    // Heads before rows: what a head names must be there when the rows are read.
    let heads = try await executor.query("SELECT lane, lane_number, hash FROM audit_heads ORDER BY lane")
    var lane = 0
    for row in heads {
      let found = try row.int64("lane")
      guard found == lane else { break }
      lane += 1
      var chain = AuditChain(lane: Int32(found), head: .init(number: try row.int64("lane_number"), hash: try row.bytes("hash")))
      try await walk(&chain, executor)
      verification.rows += chain.rows
      if let fault = chain.fault ?? chain.missingEnd() {
        verification.firstFault = fault
        return verification
      }
    }
    if lane != AuditChain.lanes {
      verification.firstFault = AuditFault(lane: lane, number: 0, createdAt: nil, reason: "the head of the lane is missing")
    }
    return verification
  }

  private static func walk(_ chain: inout AuditChain, _ executor: some SQLExecutor) async throws(PostgresError) {
    while chain.fault == nil {
      // Not from the last row: a row that was slipped in below it would be skipped. The second key finds a number used twice.
      let rows = try await executor.query(
        """
        SELECT lane_number, actor, action, subject, outcome, detail::text AS detail, trace_id, occurred_at, created_at,
          previous_hash, hash
        FROM audit_log WHERE lane = $1 AND (lane_number, created_at) > ($2, $3)
        ORDER BY lane_number, created_at LIMIT 1000
        """, [.int32(chain.lane), .int64(chain.lastNumber), .timestamp(chain.lastTime)])
      for row in rows {
        chain.check(
          try AuditChain.Row(
            number: row.int64("lane_number"), occurredAt: row.timestamp("occurred_at"), createdAt: row.timestamp("created_at"),
            fields: [
              row.text("actor"), row.text("action"), row.text("subject"), row.text("outcome"), row.text("detail"), row.text("trace_id"),
            ], previousHash: row.bytes("previous_hash"), hash: row.bytes("hash")))
        if chain.fault != nil { return }
      }
      if rows.count < 1000 { return }
    }
  }
}
