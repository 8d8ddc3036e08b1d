internal import FlorinAPI
internal import Money

extension PaymentAPI.Payment {
  /// The payment as it is told to callers.
  init(_ record: PaymentRecord) {
    let order = record.order
    self.init(
      paymentID: order.paymentID.description, payerAccountID: order.payer.name, payeeAccountID: order.payee.name,
      amount: TypeAPI.Money(minorUnits: order.amount.minorUnits, currency: order.amount.currency.code),
      state: PaymentAPI.PaymentState(record.state), reason: record.reason,
      createdAtUnixMicroseconds: order.claimedAt.microseconds, finishedAtUnixMicroseconds: record.finishedAt?.microseconds ?? 0)
  }
}

extension PaymentAPI.PaymentState {
  init(_ state: PaymentRecord.State) {
    switch state {
    case .accepted: self = .accepted
    case .completed: self = .completed
    case .declined: self = .declined
    case .compensated: self = .compensated
    case .manual: self = .manual
    }
  }
}

extension PaymentRecord.State {
  /// Nil for "every state".
  init?(filter: PaymentAPI.PaymentState) throws(PaymentRefusal) {
    switch filter {
    case .unspecified: return nil
    case .accepted: self = .accepted
    case .completed: self = .completed
    case .declined: self = .declined
    case .compensated: self = .compensated
    case .manual: self = .manual
    case .unrecognized(let number): throw .stateUnknown(number)
    }
  }
}
