internal import SagaEngine

/// Everything a payment asks of others. The names stand in the log for ever.
enum PaymentAction: String, SagaAction, CaseIterable {
  case screenPayer = "screen_payer"
  case creditPayer = "credit_payer"
  case debitPayer = "debit_payer"
  case debitPayee = "debit_payee"
  case creditPayee = "credit_payee"
  case sendReversal = "send_reversal"
  case sendConfirmation = "send_confirmation"
  case releaseHold = "release_hold"

  var name: String { rawValue }

  /// The service that does it.
  var participant: String {
    switch self {
    case .screenPayer: "account"
    case .creditPayer, .debitPayer, .debitPayee, .creditPayee, .releaseHold: "ledger"
    case .sendReversal, .sendConfirmation: "notification"
    }
  }
}
