internal import FlorinAPI
internal import Money
internal import Postgres

/// Everything that the payment's database knows about one payment, in time order: what was asked for, by whom, what the saga
/// intended, did and undid, how often, and how it ended.
struct TraceStore: Sendable {
  /// More rows of one kind than this are not shown; a line says so.
  static let longest = 2_000

  let pool: PostgresPool

  func lines(of payment: PaymentRecord) async throws -> [TypeAPI.TraceLine] {
    let order = payment.order
    let id = SQLValue.uuid(order.paymentID.uuid)
    let limit = SQLValue.int64(Int64(Self.longest) + 1)
    let results = try await pool.pipeline([
      SQLStatement(
        """
        SELECT seq, written_at, kind, step_name, attempt, outcome, reason, detail, step_id, compensation_id, definition, version,
          owner, epoch, trace_id
        FROM payment.saga_log WHERE claimed_at = $1 AND saga_id = $2 ORDER BY seq LIMIT $3::bigint
        """, [.timestamp(order.claimedAt), id, limit]),
      SQLStatement(
        """
        SELECT lane, lane_number, actor, action, outcome, detail::text AS detail, trace_id, created_at
        FROM audit_log WHERE subject = $1 AND created_at >= $2::timestamptz - interval '1 minute' ORDER BY created_at LIMIT $3::bigint
        """, [.text("payment/\(order.paymentID)"), .timestamp(order.claimedAt), limit]),
      SQLStatement(
        """
        SELECT key, status_code, finished_at, expires_at, length(response) AS bytes FROM payment.idempotency_keys
        WHERE (key, caller, method) = ($1::uuid, $2::text, $3::text)
        """, [.uuid(order.scope.key.uuid), .text(order.scope.caller), .text(order.scope.method)]),
      SQLStatement("SELECT state, reason, finished_at FROM payment.payment_outcomes WHERE payment_id = $1", [id]),
      SQLStatement(
        """
        SELECT state, reason, summary, attempts, owner, epoch, next_attempt_at, clock_timestamp() AS now FROM payment.saga_leases
        WHERE saga_id = $1
        """, [id]),
    ])
    var lines = [Self.claim(order)]
    for row in results[0].prefix(Self.longest) { lines.append(try Self.saga(row, order)) }
    for row in results[1].prefix(Self.longest) { lines.append(try Self.audit(row)) }
    for row in results[2] { if let line = try Self.key(row) { lines.append(line) } }
    for row in results[3] { lines.append(try Self.outcome(row, order)) }
    // Stable: rows of one instant stay in the order in which they were read, which is the order in which they were written.
    lines = lines.enumerated()
      .sorted { ($0.element.atUnixMicroseconds, $0.offset) < ($1.element.atUnixMicroseconds, $1.offset) }
      .map(\.element)
    for row in results[4] { lines.append(try Self.lease(row, order, after: lines.last?.atUnixMicroseconds ?? 0)) }
    for (name, rows) in [("saga_log", results[0]), ("audit_log", results[1])] where rows.count > Self.longest {
      lines.append(Self.gap(name, order, after: lines.last?.atUnixMicroseconds ?? 0))
    }
    return lines
  }

  private static func claim(_ order: PaymentOrder) -> TypeAPI.TraceLine {
    line(
      order.claimedAt, "payments", order.paymentID.description, "payment.claimed",
      "\(order.scope.caller) asks to pay \(order.amount) from \(order.payer) to \(order.payee)",
      [
        ("caller", order.scope.caller), ("method", order.scope.method), ("idempotency_key", order.scope.key.description),
        ("payer_account_id", order.payer.name), ("payee_account_id", order.payee.name), ("amount", order.amount.decimal),
        ("currency", order.amount.currency.code), ("traceparent", order.traceparent),
      ])
  }

  private static func saga(_ row: SQLRow, _ order: PaymentOrder) throws -> TypeAPI.TraceLine {
    let kind = try row.text("kind")
    let step = try row.textOrNil("step_name")
    let attempt = try row.int64OrNil("attempt")
    let outcome = try row.textOrNil("outcome")
    let reason = try row.textOrNil("reason")
    let detail = try row.textOrNil("detail")
    return line(
      try row.timestamp("written_at"), "saga_log", "\(order.paymentID)/\(try row.int64("seq"))", "saga." + kind,
      sentence(kind, step, attempt, outcome, reason, detail),
      [
        ("step", step), ("attempt", attempt.map { String($0) }), ("outcome", outcome), ("reason", reason), ("detail", detail),
        ("step_id", try row.uuidOrNil("step_id")?.description), ("compensation_id", try row.uuidOrNil("compensation_id")?.description),
        ("definition", try row.textOrNil("definition")), ("version", try row.int64OrNil("version").map { String($0) }),
        ("owner", try row.uuid("owner").description), ("epoch", String(try row.int64("epoch"))),
        ("trace_id", try row.textOrNil("trace_id")),
      ])
  }

  private static func sentence(
    _ kind: String, _ step: String?, _ attempt: Int64?, _ outcome: String?, _ reason: String?, _ detail: String?
  ) -> String {
    let step = step ?? "?"
    let answer = [outcome, reason ?? detail].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ": ")
    let times = attempt.map { $0 > 1 ? " (attempt \($0))" : "" } ?? ""
    return switch kind {
    case "started": "the saga starts"
    case "intent": "will ask for \(step)"
    case "resent": "will ask for \(step) again\(times)"
    case "result": "\(step)\(times): \(answer)"
    case "inquired": "asked what became of \(step): \(answer)"
    case "abandoned": "\(step) is given up; it never arrived (\(reason ?? ""))"
    case "tombstone_intent": "\(step) is given up, and will be forbidden (\(reason ?? ""))"
    case "tombstone_result": "forbidding \(step): \(answer)"
    case "compensation_intent": "will undo \(step)\(times)"
    case "compensation_result": "undoing \(step)\(times): \(answer)"
    case "completed": "the saga is completed"
    case "declined": "the saga ends; nothing had moved (\(reason ?? ""))"
    case "compensated": "the saga ends; everything is undone (\(reason ?? ""))"
    case "manual": "the saga stops for a person (\([reason, detail].compactMap { $0 }.joined(separator: ": ")))"
    default: kind
    }
  }

  private static func audit(_ row: SQLRow) throws -> TypeAPI.TraceLine {
    let (actor, action, outcome) = (try row.text("actor"), try row.text("action"), try row.text("outcome"))
    return line(
      try row.timestamp("created_at"), "audit_log", "\(try row.int64("lane"))/\(try row.int64("lane_number"))", event(action, outcome),
      "\(actor): \(action), \(outcome)",
      [
        ("actor", actor), ("action", action), ("outcome", outcome), ("detail", try row.text("detail")),
        ("trace_id", try row.text("trace_id")),
      ])
  }

  private static func event(_ action: String, _ outcome: String) -> String {
    action == "payment.create" ? "payment." + outcome : action
  }

  private static func key(_ row: SQLRow) throws -> TypeAPI.TraceLine? {
    // Until there is a reply, the claim says all there is to say about the key.
    guard let finished = try row.timestampOrNil("finished_at"), let expires = try row.timestampOrNil("expires_at") else { return nil }
    let key = try row.uuid("key").description
    return line(
      finished, "idempotency_keys", key, "idempotency.reply_stored", "the reply to key \(key) is kept until \(expires)",
      [
        ("status_code", String(try row.int64("status_code"))), ("response_bytes", String(try row.int64("bytes"))),
        ("expires_at", expires.description),
      ])
  }

  private static func outcome(_ row: SQLRow, _ order: PaymentOrder) throws -> TypeAPI.TraceLine {
    let (state, reason) = (try row.text("state"), try row.text("reason"))
    return line(
      try row.timestamp("finished_at"), "payment_outcomes", order.paymentID.description, "payment.outcome",
      reason.isEmpty ? "the payment is \(state)" : "the payment is \(state): \(reason)", [("state", state), ("reason", reason)])
  }

  private static func lease(_ row: SQLRow, _ order: PaymentOrder, after: Int64) throws -> TypeAPI.TraceLine {
    let (state, summary) = (try row.text("state"), try row.text("summary"))
    let next = try row.timestamp("next_attempt_at")
    return line(
      Timestamp(microseconds: max(after, try row.timestamp("now").microseconds)), "saga_leases", order.paymentID.description,
      "saga.now", state == "running" ? "the saga stands at: \(summary)" : "the saga is \(state), at: \(summary)",
      [
        ("state", state), ("reason", try row.text("reason")), ("attempts", String(try row.int64("attempts"))),
        ("owner", try row.uuid("owner").description), ("epoch", String(try row.int64("epoch"))), ("next_attempt_at", next.description),
      ])
  }

  private static func gap(_ table: String, _ order: PaymentOrder, after: Int64) -> TypeAPI.TraceLine {
    line(
      Timestamp(microseconds: after), table, order.paymentID.description, "trace.cut",
      "\(table) has more than \(longest) rows of this payment; the rest is not shown here", [])
  }

  private static func line(
    _ at: Timestamp, _ table: String, _ row: String, _ event: String, _ summary: String, _ fields: [(String, String?)]
  ) -> TypeAPI.TraceLine {
    TypeAPI.TraceLine(
      atUnixMicroseconds: at.microseconds, service: "payment", table: table, row: row, event: event, summary: summary,
      fields: fields.compactMap { name, value in
        value.flatMap { $0.isEmpty ? nil : TypeAPI.TraceField(name: name, value: $0) }
      })
  }
}
