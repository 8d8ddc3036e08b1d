internal import Idempotency
internal import Money

/// What somebody asked for, checked: the part of a payment that never changes.
struct PaymentOrder: Hashable, Sendable {
  let paymentID: PaymentID
  let payer: AccountID
  let payee: AccountID
  let amount: Amount
  /// When the claim was committed, to the microsecond. Every id of the saga is derived from this, and it is read back from the
  /// claim: never from a clock on retry.
  let claimedAt: Timestamp
  /// The caller's trace, which the saga belongs to wherever and whenever it runs.
  let traceparent: String?
  let scope: IdempotencyScope
}
