internal import Money
internal import SagaEngine

/// A service that does steps of a saga: what it is asked to do it does at most once per id, and it remembers what became of it.
/// Nothing throws: whatever happens to a call is one of the outcomes.
protocol SagaParticipant: Sendable {
  /// Sends a frozen request of an action, as it is.
  func call(_ action: PaymentAction, _ request: [UInt8]) async -> SagaOutcome
  /// "Did you do this step?"
  func inquire(_ intent: SagaIntent) async -> SagaFinding
  /// Forbids a step that has not come yet; answers what became of it otherwise.
  func forbid(_ intent: SagaIntent, of payment: PaymentID) async -> SagaFinding
}

/// The participants of a payment, by name.
struct PaymentParticipants: Sendable {
  let account: any SagaParticipant
  let ledger: any SagaParticipant
  let notification: any SagaParticipant

  func participant(for action: PaymentAction) -> any SagaParticipant {
    switch action.participant {
    case "account": account
    case "notification": notification
    default: ledger
    }
  }
}
