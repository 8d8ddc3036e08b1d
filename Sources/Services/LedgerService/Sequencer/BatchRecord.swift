internal import Digest
internal import LedgerRules
internal import Outbox
internal import Postgres

/// What goes with a batch in the same transaction: one outbox event and one audit row (no audit row, no money).
enum BatchRecord {
  /// Callers named in the audit row, at most; the rows themselves each name theirs.
  private static let callersNamed = 32

  static func statements(_ batch: Batch, _ submissions: [Submission]) -> [SQLStatement] {
    let header = batch.header
    let posted = batch.transfers.count { $0.outcome == .posted }
    let declined = batch.transfers.count { $0.outcome == .declined }
    let callers = Set(submissions.map { "/" + $0.request.requestedBy }).sorted().prefix(callersNamed).joined(separator: ",")
    // A batch of one caller belongs to its trace; of many, to none.
    let trace = submissions.count == 1 ? submissions[0].trace : nil
    let record = AuditRecord(
      actor: callers, action: "ledger.post", subject: "batch/\(header.number)", outcome: "committed",
      detail: [
        "posted": "\(posted)", "declined": "\(declined)", "tombstones": "\(batch.transfers.count - posted - declined)",
        "account_events": "\(batch.events.count)", "hash": hexadecimal(batch.hash), "epoch": "\(header.epoch)",
      ],
      traceID: trace?.traceID)
    let payload = """
      {"batch":\(header.number),"hash":"\(hexadecimal(batch.hash))","transfers":\(header.transferCount),\
      "account_events":\(header.eventCount),"booked_at":"\(header.createdAt)"}
      """
    let event = OutboxEvent(
      aggregate: "ledger", type: "ledger.batch_committed", payload: Array(payload.utf8), traceparent: trace?.traceparent)
    // The audit row last: it locks its lane until the commit.
    return [Outbox.statement(event), AuditLog.statement(record, at: header.createdAt)]
  }
}
