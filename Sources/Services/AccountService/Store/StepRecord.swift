internal import FlorinAPI
internal import Money
internal import Postgres

/// What became of a payment's step: a row of `account.steps`.
struct StepRecord: Hashable, Sendable {
  enum State: String, Hashable, Sendable { case done, declined, tombstone }

  let stepID: UUID128
  let paymentID: UUID128
  let state: State
  let reason: String
  /// Nil for a tombstone.
  let fingerprint: [UInt8]?
  let payer: String?
  let amountMinorUnits: Int64?
  let currency: String?
  let caller: String
  let decidedAt: Timestamp

  init(_ row: SQLRow) throws {
    stepID = try row.uuid("step_id")
    paymentID = try row.uuid("payment_id")
    guard let state = State(rawValue: try row.text("state")) else { throw StoredAccountError.unreadable("step \(stepID)") }
    self.state = state
    reason = try row.text("reason")
    fingerprint = try row.bytesOrNil("fingerprint")
    payer = try row.textOrNil("payer_account_id")
    amountMinorUnits = try row.int64OrNil("amount")
    currency = try row.textOrNil("currency")
    caller = try row.text("decided_by_request_of")
    decidedAt = try row.timestamp("decided_at")
  }

  var stepState: TypeAPI.StepState {
    switch state {
    case .done: .done
    case .declined: .declined
    case .tombstone: .tombstone
    }
  }
}
