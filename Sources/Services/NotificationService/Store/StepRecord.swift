internal import FlorinAPI
internal import Money
internal import Postgres

/// What became of a payment's step: a row of `notification.steps`.
struct StepRecord: Hashable, Sendable {
  enum State: String, Hashable, Sendable { case done, declined, tombstone }

  /// What was asked for; a tombstone has none.
  struct Content: Hashable, Sendable {
    let kind: NotificationKind
    let payer: String
    let payee: String
    let amountMinorUnits: Int64
    let currency: String
    let reverses: UUID128?
    let fingerprint: [UInt8]
  }

  let stepID: UUID128
  let paymentID: UUID128
  let state: State
  let reason: String
  let content: Content?
  /// The suppression that it was declined for.
  let suppressedAccount: String?
  let suppressionSequence: Int32?
  let caller: String
  let decidedAt: Timestamp

  init(_ row: SQLRow) throws {
    stepID = try row.uuid("step_id")
    paymentID = try row.uuid("payment_id")
    guard let state = State(rawValue: try row.text("state")) else { throw StoredStepError.unreadable(stepID) }
    self.state = state
    reason = try row.text("reason")
    if let fingerprint = try row.bytesOrNil("fingerprint") {
      guard let kind = NotificationKind(rawValue: try row.text("kind")) else { throw StoredStepError.unreadable(stepID) }
      content = Content(
        kind: kind, payer: try row.text("payer_account_id"), payee: try row.text("payee_account_id"),
        amountMinorUnits: try row.int64("amount"), currency: try row.text("currency"), reverses: try row.uuidOrNil("reverses_step_id"),
        fingerprint: fingerprint)
    } else {
      content = nil
    }
    suppressedAccount = try row.textOrNil("suppressed_account_id")
    suppressionSequence = try row.int32OrNil("suppression_sequence")
    caller = try row.text("requested_by")
    decidedAt = try row.timestamp("decided_at")
  }

  var reply: NotificationAPI.SubmitResponse {
    let state: TypeAPI.StepState =
      switch self.state {
      case .done: .done
      case .declined: .declined
      case .tombstone: .tombstone
      }
    return NotificationAPI.SubmitResponse(state: state, reason: reason)
  }
}

/// What a notification tells: that a payment went through, or that this was taken back.
enum NotificationKind: String, Hashable, Sendable, CaseIterable {
  case confirmation, reversal
}

/// A row that this build cannot understand.
enum StoredStepError: Error, Hashable, CustomStringConvertible {
  case unreadable(UUID128)

  var description: String {
    switch self {
    case .unreadable(let id): "the row of step \(id) is missing, or holds a state or a kind that this build does not know"
    }
  }
}
