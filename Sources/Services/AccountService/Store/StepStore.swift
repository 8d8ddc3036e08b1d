internal import FlorinAPI
internal import Money
internal import Outbox
internal import Postgres
internal import ProtobufCodec
internal import Telemetry

/// Payments' steps, and tombstones for steps that must never come, in the database.
struct StepStore: Sendable {
  let pool: PostgresPool

  private static let lookUp: StaticString = "SELECT * FROM account.steps WHERE step_id = $1"
  private static let insert: StaticString = """
    INSERT INTO account.steps
      (step_id, payment_id, state, reason, fingerprint, payer_account_id, amount, currency, decided_by_request_of, decided_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (step_id) DO NOTHING
    """

  /// Decides a screening once and for all; what was decided under the id before stays. The decision is read in the transaction
  /// that writes it.
  func screen(_ screening: Screening, by actor: String, at time: Timestamp) async throws -> StepRecord {
    if let decided = try await step(screening.stepID) { return decided }
    return try await pool.transaction { transaction in
      let account = try await AccountStore.account(screening.payer, in: transaction)
      let refusal = screening.refusal(for: account)
      return try await decide(
        [
          .uuid(screening.stepID), .uuid(screening.paymentID), .text(refusal == nil ? "done" : "declined"), .text(refusal ?? ""),
          .bytes(screening.fingerprint), .text(screening.payer.name), .int64(screening.amount.minorUnits),
          .text(screening.amount.currency.code), .text(actor), .timestamp(time),
        ],
        stepID: screening.stepID, action: refusal == nil ? "payer_accepted" : "payer_declined", in: transaction)
    }
  }

  /// Forbids a step that has not come; what was decided under the id before stays.
  func forbid(_ stepID: UUID128, of paymentID: UUID128, by actor: String, at time: Timestamp) async throws -> StepRecord {
    try await pool.transaction { transaction in
      try await decide(
        [
          .uuid(stepID), .uuid(paymentID), .text("tombstone"), .text(""), .null, .null, .null, .null, .text(actor), .timestamp(time),
        ],
        stepID: stepID, action: "step_forbidden", in: transaction)
    }
  }

  /// The primary key decides who was first; a second inserter waits here for the first one's transaction.
  private func decide(
    _ row: [SQLValue], stepID: UUID128, action: String, in transaction: PostgresTransaction
  ) async throws -> StepRecord {
    let isNew = try await transaction.execute(Self.insert, row) == 1
    guard let step = try await transaction.query(Self.lookUp, [.uuid(stepID)]).first.map({ try StepRecord($0) }) else {
      throw StoredAccountError.unreadable("step \(stepID)")
    }
    guard isNew else { return step }
    let answer = AccountAPI.GetStepResponse(state: step.stepState, reason: step.reason)
    try await Outbox.append(
      OutboxEvent(
        aggregate: step.paymentID.description, type: "account.\(action)", payload: try answer.serialized(),
        traceparent: TraceIdentity.current?.traceparent),
      in: transaction)
    try await AuditLog.append(
      AuditRecord(
        actor: step.caller, action: "account.\(action)", subject: "payment/\(step.paymentID)", outcome: step.state.rawValue,
        detail: ["step_id": stepID.description, "reason": step.reason, "account_id": step.payer ?? ""].filter { !$0.value.isEmpty },
        traceID: TraceIdentity.current?.traceID),
      in: transaction)
    return step
  }

  func step(_ id: UUID128) async throws -> StepRecord? {
    try await pool.query(Self.lookUp, [.uuid(id)]).first.map { try StepRecord($0) }
  }

  /// Oldest first.
  func steps(of paymentID: UUID128) async throws -> [StepRecord] {
    try await pool.query("SELECT * FROM account.steps WHERE payment_id = $1 ORDER BY decided_at, step_id", [.uuid(paymentID)])
      .map { try StepRecord($0) }
  }
}
