internal import Idempotency
internal import MeshProtocol
internal import Money
internal import Postgres

/// A payment and where it stands.
struct PaymentRecord: Hashable, Sendable {
  enum State: String, Hashable, Sendable, CaseIterable {
    case accepted = "ACCEPTED"
    case completed = "COMPLETED"
    case declined = "DECLINED"
    case compensated = "COMPENSATED"
    case manual = "MANUAL"

    /// Whether it can't change any more. Manual can: a person will decide it.
    var isFinal: Bool { self == .completed || self == .declined || self == .compensated }
  }

  let order: PaymentOrder
  let state: State
  let reason: String
  /// Set once the state is final.
  let finishedAt: Timestamp?

  init(order: PaymentOrder, state: State, reason: String = "", finishedAt: Timestamp? = nil) {
    self.order = order
    self.state = state
    self.reason = reason
    self.finishedAt = finishedAt
  }

  /// From a row of `payment.payment_states`.
  init(_ row: SQLRow) throws {
    let id = try row.uuid("payment_id")
    let state = try row.text("state")
    guard let payer = AccountID(try row.text("payer_account_id")), let payee = AccountID(try row.text("payee_account_id")),
      let currency = Currency(code: try row.text("currency")), let known = State(rawValue: state),
      let key = IdempotencyKey(try row.uuid("idempotency_key").description)
    else { throw StoredPaymentError.unreadable(PaymentID(id)) }
    order = PaymentOrder(
      paymentID: PaymentID(id), payer: payer, payee: payee,
      amount: Amount(minorUnits: try row.int64("amount"), currency: currency), claimedAt: try row.timestamp("claimed_at"),
      traceparent: try row.textOrNil("traceparent"),
      scope: IdempotencyScope(caller: try row.text("caller"), method: try row.text("method"), key: key))
    self.state = known
    reason = try row.text("reason")
    finishedAt = try row.timestampOrNil("finished_at")
  }
}

/// A payment's row that this build cannot understand.
enum StoredPaymentError: Error, Hashable, CustomStringConvertible {
  case unreadable(PaymentID)

  var description: String {
    switch self {
    case .unreadable(let id): "the row of payment \(id) holds an account, a currency or a state that this build does not know"
    }
  }
}

/// What the database says about the payment of an idempotency key.
struct KeyedPayment: Sendable {
  let payment: PaymentRecord
  /// Nil once the key has expired and been swept.
  let key: KeyRecord?
  /// PostgreSQL's clock, by which keys expire.
  let now: Timestamp
}
