internal import MeshProtocol
internal import Money

/// Why a request is not answered with a payment. The trailer `reason` carries the stable word, the message says what to do.
enum PaymentRefusal: Error, Hashable, Sendable {
  case keyMissing
  case keyNotVersion4
  case accountMissing(field: String)
  case accountMalformed(field: String)
  case accountInternal(field: String)
  case sameAccount
  case amountMissing
  case amountNotPositive(Int64)
  case currencyUnknown(String)
  case keyReused(PaymentID)
  case keyExpired(PaymentID)
  case inProgress(PaymentID)
  case paymentIDMalformed
  case paymentUnknown(String)
  case limitTooLarge(UInt32)
  case stateUnknown(Int32)
  case tooManyPayments(limit: Int)
  case clockSkewed

  var reason: String {
    switch self {
    case .keyMissing: "idempotency_key_missing"
    case .keyNotVersion4: "idempotency_key_not_uuid_v4"
    case .accountMissing: "account_missing"
    case .accountMalformed: "account_malformed"
    case .accountInternal: "account_internal"
    case .sameAccount: "same_account"
    case .amountMissing: "amount_missing"
    case .amountNotPositive: "amount_not_positive"
    case .currencyUnknown: "currency_unknown"
    case .keyReused: "idempotency_key_reused"
    case .keyExpired: "key_expired"
    case .inProgress: "in_progress"
    case .paymentIDMalformed: "payment_id_malformed"
    case .paymentUnknown: "payment_unknown"
    case .limitTooLarge: "limit_too_large"
    case .stateUnknown: "state_unknown"
    case .tooManyPayments: "too_many_payments"
    case .clockSkewed: "clock_skewed"
    }
  }

  private var code: RPCCode {
    switch self {
    case .keyMissing, .keyNotVersion4, .accountMissing, .accountMalformed, .accountInternal, .sameAccount, .amountMissing,
      .amountNotPositive, .currencyUnknown, .paymentIDMalformed, .limitTooLarge, .stateUnknown:
      .invalidArgument
    case .keyReused, .keyExpired: .failedPrecondition
    case .inProgress: .aborted
    case .paymentUnknown: .notFound
    case .tooManyPayments: .resourceExhausted
    case .clockSkewed: .unavailable
    }
  }

  private var message: String {
    switch self {
    case .keyMissing: "a payment needs an idempotency key: make one UUID of version 4 per payment, and send it again with every retry"
    case .keyNotVersion4: "the idempotency key is not a UUID of version 4: make one with a random generator, not from the request"
    case .accountMissing(let field): "\(field) is empty: name the account"
    case .accountMalformed(let field):
      "\(field) is not the name of an account: 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or a digit"
    case .accountInternal(let field): "\(field) is an internal account of the ledger: payments are made between customers' accounts"
    case .sameAccount: "payer and payee are the same account: name two"
    case .amountMissing: "amount is missing: give minor units and a currency"
    case .amountNotPositive(let units): "the amount of \(units) minor units is not positive: a payment moves at least one"
    case .currencyUnknown(let code): "'\(code.prefix(16))' is no currency that Florin books: give an ISO 4217 code in capitals, such as GBP"
    case .keyReused(let id):
      "this idempotency key stands for another request, payment \(id): make a new key for a new payment, or repeat the request unchanged"
    case .keyExpired(let id): "the reply to this idempotency key is no longer kept; the payment is \(id): look at it with Get"
    case .inProgress(let id): "payment \(id) is still under way: send the same request with the same key again, or look at it with Get"
    case .paymentIDMalformed: "payment_id is not a UUID"
    case .paymentUnknown(let id): "there is no payment \(id)"
    case .limitTooLarge(let limit): "limit is \(limit): at most 1,000"
    case .stateUnknown(let number): "there is no payment state \(number)"
    case .tooManyPayments(let limit): "\(limit) payments are under way here, which is the limit: nothing was stored, try again shortly"
    case .clockSkewed: "this process's clock differs from the database's by seconds: nothing was stored; set the clock, and try again"
    }
  }

  private var paymentID: PaymentID? {
    switch self {
    case .keyReused(let id), .keyExpired(let id), .inProgress(let id): id
    default: nil
    }
  }

  private var retryAfter: Duration? {
    switch self {
    case .inProgress: .milliseconds(500)
    case .tooManyPayments: .milliseconds(250)
    case .clockSkewed: .seconds(5)
    default: nil
    }
  }

  /// The status that the caller gets.
  var status: RPCError {
    var trailers: Metadata = ["reason": reason]
    if let paymentID { trailers["payment-id"] = paymentID.description }
    if let retryAfter {
      let (seconds, attoseconds) = retryAfter.components
      trailers["retry-after-ms"] = String(seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
    return RPCError(code, message, trailers: trailers, origin: .application, executed: .yes, retryAfter: retryAfter)
  }
}
