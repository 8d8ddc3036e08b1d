internal import SagaEngine

/// The saga of a payment, as docs/saga.md describes it. Each compensation stands before the step that it undoes.
enum PaymentSaga {
  /// Contacts with the notification service before a confirmation is given up: with the usual back-off, some twenty seconds.
  static let confirmationAttempts = 14

  static let version1 = SagaDefinition<PaymentAction>("payment", version: 1) {
    NothingToUndo().after(.screenPayer)
    Undo(by: .creditPayer).after(.debitPayer)
    Undo(by: .debitPayee).after(.creditPayee)
    Undo(by: .sendReversal).after(.sendConfirmation, givingUp: .attempts(confirmationAttempts))
    Pivot(.releaseHold)
  }

  /// New payments start with this one.
  static let current = version1

  /// Every version of which a payment may still be open.
  static let catalogue = SagaCatalogue([version1])
}
