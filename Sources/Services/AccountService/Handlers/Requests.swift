internal import Digest
internal import FlorinAPI
internal import MeshProtocol
internal import Money
internal import ProtobufCodec
internal import ServiceRuntime

/// A request to open an account, checked.
struct Opening: Hashable, Sendable {
  let reference: String
  let currency: Currency
  /// Whose keys these are: the caller's whole SPIFFE id.
  let caller: String
  /// The path of it, for the audit log.
  let actor: String
  let key: IdempotencyKey
  let fingerprint: [UInt8]

  var accountID: AccountID { AccountNumber.make(caller: caller, key: key) }

  init(_ request: AccountAPI.OpenAccountRequest, _ context: CallContext) throws {
    guard let text = context.idempotencyKey, !text.isEmpty else {
      throw RPCError.refusal(
        .invalidArgument, "idempotency_key_missing", "opening an account needs an idempotency key: send a UUID of version 4 with the call")
    }
    guard let key = IdempotencyKey(text) else {
      throw RPCError.refusal(
        .invalidArgument, "idempotency_key_not_uuid_v4",
        "'\(text.prefix(64))' is no idempotency key: send a UUID of version 4, such as \(UUID128.random())")
    }
    let isAllowed = { (c: UInt8) in
      (0x30...0x39).contains(c) || (0x41...0x5a).contains(c) || (0x61...0x7a).contains(c) || [0x2e, 0x5f, 0x3a, 0x2d].contains(c)
    }
    guard (1...64).contains(request.reference.utf8.count), request.reference.utf8.allSatisfy(isAllowed) else {
      // Not repeated in the message: it may be what it must not be, a name or an address.
      throw RPCError.refusal(
        .invalidArgument, "reference_invalid",
        "the reference must be 1 to 64 of A-Z a-z 0-9 . _ : - and an opaque key of your own; never a name or an address")
    }
    guard let currency = Currency(code: request.currency) else {
      throw RPCError.refusal(
        .invalidArgument, "currency_unknown",
        "'\(request.currency.prefix(16))' is no currency: use an ISO 4217 code in capitals, such as GBP")
    }
    reference = request.reference
    self.currency = currency
    caller = context.peer.description
    actor = context.peer.path
    self.key = key
    fingerprint = SHA256.hash(try request.serialized())
  }
}

/// A request to judge a payer, checked.
struct Screening: Hashable, Sendable {
  let stepID: UUID128
  let paymentID: UUID128
  let payer: AccountID
  let amount: Amount
  let fingerprint: [UInt8]

  init(_ request: AccountAPI.ScreenPayerRequest) throws {
    stepID = try RequestField.uuid(request.stepID, "step_id")
    paymentID = try RequestField.uuid(request.paymentID, "payment_id")
    payer = try RequestField.account(request.payerAccountID, "payer_account_id")
    let currency = request.amount?.currency ?? ""
    guard let money = request.amount, let known = Currency(code: currency) else {
      throw RPCError.refusal(
        .invalidArgument, "currency_unknown", "'\(currency.prefix(16))' is no currency: use an ISO 4217 code in capitals, such as GBP")
    }
    guard money.minorUnits > 0 else {
      throw RPCError.refusal(
        .invalidArgument, "amount_not_positive", "the amount is \(money.minorUnits) minor units: it must be above zero")
    }
    amount = Amount(minorUnits: money.minorUnits, currency: known)
    fingerprint = SHA256.hash(try request.serialized())
  }

  /// Why this payer may not pay this, or nil.
  func refusal(for account: AccountRecord?) -> String? {
    guard let account else { return "account_unknown" }
    return switch account.status {
    // Without an account in the ledger there is no money: for a payment this is the same as no account.
    case .opening: "account_unknown"
    case .frozen: "account_frozen"
    case .closed: "account_closed"
    case .open: account.currency == amount.currency.code ? nil : "currency_mismatch"
    }
  }
}

/// Checks of single fields.
enum RequestField {
  static func uuid(_ text: String, _ field: String) throws -> UUID128 {
    guard let uuid = UUID128(text) else {
      throw RPCError.refusal(.invalidArgument, "\(field)_invalid", "\(field) '\(text.prefix(64))' is no UUID")
    }
    return uuid
  }

  static func account(_ text: String, _ field: String) throws -> AccountID {
    guard let id = AccountID(text) else {
      throw RPCError.refusal(
        .invalidArgument, "\(field)_invalid", "\(field) '\(text.prefix(64))' is no account id: it has 1 to 64 of A-Z a-z 0-9 : _ -")
    }
    return id
  }

  /// Why somebody did something, in the words of a catalogue.
  static func reason(_ text: String) throws -> String {
    guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ (0x61...0x7a).contains($0) || $0 == 0x5f }) else {
      throw RPCError.refusal(
        .invalidArgument, "reason_invalid", "the reason must be 1 to 64 of a-z and _, such as court_order; free text is not kept")
    }
    return text
  }

  /// 0 means 100.
  static func limit(_ limit: UInt32) throws -> Int {
    guard limit <= 1000 else {
      throw RPCError.refusal(.invalidArgument, "limit_too_large", "the limit is \(limit): ask for at most 1,000 at once")
    }
    return limit == 0 ? 100 : Int(limit)
  }
}
