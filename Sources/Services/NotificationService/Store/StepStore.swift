internal import FlorinAPI
internal import Money
internal import Outbox
internal import Postgres
internal import ProtobufCodec
internal import Telemetry

/// Payments' steps, and tombstones for steps that must never come, in the database.
struct StepStore: Sendable {
  let pool: PostgresPool

  private static let lookUp: StaticString = "SELECT * FROM notification.steps WHERE step_id = $1"
  private static let insert: StaticString = """
    INSERT INTO notification.steps
      (step_id, payment_id, state, reason, kind, fingerprint, payer_account_id, payee_account_id, amount, currency, reverses_step_id,
       suppressed_account_id, suppression_sequence, requested_by, decided_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (step_id) DO NOTHING
    """

  /// Accepts a submission or declines it, once and for all; what was decided under the id before stays.
  func decide(_ submission: Submission, by actor: String, at time: Timestamp) async throws -> StepRecord {
    if let decided = try await step(submission.stepID) { return decided }
    return try await pool.transaction { transaction in
      var suppression: Suppression?
      if submission.kind == .confirmation {
        // Of both, the payer's is named if both are suppressed.
        for account in [submission.payer, submission.payee] where suppression == nil {
          suppression = try await SuppressionStore.current(account, in: transaction).flatMap { $0.suppressed ? $0 : nil }
        }
      }
      return try await insert(
        [
          .uuid(submission.stepID), .uuid(submission.paymentID), .text(suppression == nil ? "done" : "declined"),
          .text(suppression == nil ? "" : "recipient_suppressed"), .text(submission.kind.rawValue), .bytes(submission.fingerprint),
          .text(submission.payer.name), .text(submission.payee.name), .int64(submission.amount.minorUnits),
          .text(submission.amount.currency.code), .uuid(orNull: submission.reverses), .text(orNull: suppression?.account.name),
          .int64(orNull: suppression.map { Int64($0.sequence) }), .text(actor), .timestamp(time),
        ],
        stepID: submission.stepID, action: "\(submission.kind.rawValue)_\(suppression == nil ? "accepted" : "declined")", in: transaction)
    }
  }

  /// Forbids a step that has not come; what was decided under the id before stays.
  func forbid(_ stepID: UUID128, of paymentID: UUID128, by actor: String, at time: Timestamp) async throws -> StepRecord {
    try await pool.transaction { transaction in
      try await insert(
        [
          .uuid(stepID), .uuid(paymentID), .text("tombstone"), .text(""), .null, .null, .null, .null, .null, .null, .null, .null, .null,
          .text(actor), .timestamp(time),
        ],
        stepID: stepID, action: "step_forbidden", in: transaction)
    }
  }

  /// The primary key decides who was first; a second inserter waits here for the first one's transaction.
  private func insert(
    _ row: [SQLValue], stepID: UUID128, action: String, in transaction: PostgresTransaction
  ) async throws -> StepRecord {
    let isNew = try await transaction.execute(Self.insert, row) == 1
    guard let step = try await transaction.query(Self.lookUp, [.uuid(stepID)]).first.map({ try StepRecord($0) }) else {
      throw StoredStepError.unreadable(stepID)
    }
    guard isNew else { return step }
    try await Outbox.append(
      OutboxEvent(
        aggregate: step.paymentID.description, type: "notification.\(action)", payload: try (step.message ?? .init()).serialized(),
        traceparent: TraceIdentity.current?.traceparent),
      in: transaction)
    // Last, because the audit chain is written by one transaction at a time.
    try await AuditLog.append(
      AuditRecord(
        actor: step.caller, action: "notification.\(action)", subject: "payment/\(step.paymentID)", outcome: step.state.rawValue,
        detail: ["step_id": stepID.description, "reason": step.reason, "suppressed_account_id": step.suppressedAccount ?? ""]
          .filter { !$0.value.isEmpty },
        traceID: TraceIdentity.current?.traceID),
      in: transaction)
    return step
  }

  func step(_ id: UUID128) async throws -> StepRecord? {
    try await pool.query(Self.lookUp, [.uuid(id)]).first.map { try StepRecord($0) }
  }

  /// Oldest first.
  func steps(of paymentID: UUID128) async throws -> [StepRecord] {
    try await pool.query("SELECT * FROM notification.steps WHERE payment_id = $1 ORDER BY decided_at, step_id", [.uuid(paymentID)])
      .map { try StepRecord($0) }
  }

  /// What was accepted, newest first.
  func accepted(of paymentID: UUID128?, limit: Int) async throws -> [StepRecord] {
    guard let paymentID else {
      return try await pool.query(
        "SELECT * FROM notification.steps WHERE state = 'done' ORDER BY decided_at DESC, step_id LIMIT $1::bigint", [.int64(Int64(limit))]
      ).map { try StepRecord($0) }
    }
    return try await pool.query(
      """
      SELECT * FROM notification.steps WHERE state = 'done' AND payment_id = $1
      ORDER BY decided_at DESC, step_id LIMIT $2::bigint
      """, [.uuid(paymentID), .int64(Int64(limit))]
    ).map { try StepRecord($0) }
  }
}
