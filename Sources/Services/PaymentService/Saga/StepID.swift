internal import Money

/// The ids under which participants know what a payment asks of them: time-ordered (version 8), made of the instant of the claim
/// and a hash of payment and name. Whoever computes one, however often, gets the same.
struct StepID {
  private let order: PaymentOrder

  init(_ order: PaymentOrder) { self.order = order }

  /// The id of an action that is one thing; for a linked pair, of its first member.
  func id(_ action: PaymentAction) -> UUID128 { id(action.name) }

  /// The hold that comes with the payee's credit.
  var hold: UUID128 { id("credit_payee.hold") }

  /// The release of that hold when the credit is taken back (the pivot's release has an id of its own).
  var compensatingRelease: UUID128 { id("debit_payee.release") }

  private func id(_ name: String) -> UUID128 {
    UUID128.deterministic(at: order.claimedAt, name: order.paymentID.uuid.bytes + Array(name.utf8))
  }
}
