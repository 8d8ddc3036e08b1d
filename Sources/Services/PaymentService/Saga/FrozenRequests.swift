internal import FlorinAPI
internal import Money
internal import SagaEngine

/// Makes the requests of a payment's saga: once, before the step's intent is written. What is sent later are these bytes.
struct FrozenRequests {
  private let order: PaymentOrder
  private let ids: StepID

  init(_ order: PaymentOrder) {
    self.order = order
    ids = StepID(order)
  }

  /// The intent of a step. Its compensation is encoded first: a step that could not be undone never starts.
  /// - Throws: the codec's error if a request cannot be encoded.
  func intent(of step: Int, in definition: SagaDefinition<PaymentAction>) throws -> SagaIntent {
    let declared = definition.steps[step]
    var compensation: SagaCompensation?
    if let undo = declared.compensation { compensation = SagaCompensation(id: ids.id(undo), request: try bytes(undo)) }
    return SagaIntent(step: step, id: ids.id(declared.action), request: try bytes(declared.action), compensation: compensation)
  }

  private func bytes(_ action: PaymentAction) throws -> [UInt8] {
    switch action {
    case .screenPayer: try screening.serialized()
    case .debitPayer: try LedgerAPI.PostRequest(postings: [payerDebit]).serialized()
    case .creditPayer: try LedgerAPI.PostRequest(postings: [payerReversal]).serialized()
    case .creditPayee: try LedgerAPI.PostRequest(postings: [payeeCredit, payeeHold], linked: true).serialized()
    case .debitPayee: try LedgerAPI.PostRequest(postings: [payeeHoldRelease, payeeReversal], linked: true).serialized()
    case .sendConfirmation: try notification(.sendConfirmation, .confirmation, reverses: nil).serialized()
    case .sendReversal: try notification(.sendReversal, .reversal, reverses: .sendConfirmation).serialized()
    case .releaseHold: try LedgerAPI.PostRequest(postings: [pivotRelease]).serialized()
    }
  }

  private var money: TypeAPI.Money { TypeAPI.Money(minorUnits: order.amount.minorUnits, currency: order.amount.currency.code) }
  private var paymentID: String { order.paymentID.description }
  private var clearing: String { AccountID.clearing(order.amount.currency).name }

  private var screening: AccountAPI.ScreenPayerRequest {
    AccountAPI.ScreenPayerRequest(
      stepID: ids.id(.screenPayer).description, paymentID: paymentID, payerAccountID: order.payer.name, amount: money)
  }

  private var payerDebit: LedgerAPI.Posting {
    posting(
      .debitPayer,
      .transfer(
        LedgerAPI.Transfer(
          debitAccountID: order.payer.name, creditAccountID: clearing, amount: money, type: "payment_debit", referenceID: paymentID)))
  }

  private var payerReversal: LedgerAPI.Posting {
    posting(
      .creditPayer,
      .reversal(
        LedgerAPI.Reversal(transferID: ids.id(.debitPayer).description, referenceID: paymentID, type: "payment_debit_reversal")))
  }

  private var payeeCredit: LedgerAPI.Posting {
    posting(
      .creditPayee,
      .transfer(
        LedgerAPI.Transfer(
          debitAccountID: clearing, creditAccountID: order.payee.name, amount: money, type: "payment_credit", referenceID: paymentID)))
  }

  private var payeeHold: LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: ids.hold.description,
      body: .hold(LedgerAPI.Hold(accountID: order.payee.name, amount: money, type: "payment_hold", referenceID: paymentID)))
  }

  private var payeeHoldRelease: LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: ids.compensatingRelease.description,
      body: .release(LedgerAPI.Release(holdID: ids.hold.description, type: "payment_hold_reversal", referenceID: paymentID)))
  }

  private var payeeReversal: LedgerAPI.Posting {
    posting(
      .debitPayee,
      .reversal(
        LedgerAPI.Reversal(transferID: ids.id(.creditPayee).description, referenceID: paymentID, type: "payment_credit_reversal")))
  }

  private var pivotRelease: LedgerAPI.Posting {
    posting(
      .releaseHold,
      .release(LedgerAPI.Release(holdID: ids.hold.description, type: "payment_release", referenceID: paymentID)))
  }

  private func posting(_ action: PaymentAction, _ body: LedgerAPI.Posting.Body) -> LedgerAPI.Posting {
    LedgerAPI.Posting(id: ids.id(action).description, body: body)
  }

  private func notification(
    _ action: PaymentAction, _ kind: NotificationAPI.Kind, reverses: PaymentAction?
  ) -> NotificationAPI.SubmitRequest {
    NotificationAPI.SubmitRequest(
      stepID: ids.id(action).description, kind: kind, paymentID: paymentID, payerAccountID: order.payer.name,
      payeeAccountID: order.payee.name, amount: money, reversesStepID: reverses.map { ids.id($0).description } ?? "")
  }
}
