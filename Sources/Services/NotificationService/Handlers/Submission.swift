internal import Digest
internal import FlorinAPI
internal import MeshProtocol
internal import Money
internal import ProtobufCodec
internal import ServiceRuntime

/// A request to tell something, checked.
struct Submission: Hashable, Sendable {
  let stepID: UUID128
  let kind: NotificationKind
  let paymentID: UUID128
  let payer: AccountID
  let payee: AccountID
  let amount: Amount
  /// For a reversal: the confirmation it takes back.
  let reverses: UUID128?
  let fingerprint: [UInt8]

  init(_ request: NotificationAPI.SubmitRequest) throws {
    stepID = try RequestField.uuid(request.stepID, "step_id")
    switch request.kind {
    case .confirmation: kind = .confirmation
    case .reversal: kind = .reversal
    case .unspecified, .unrecognized:
      throw RPCError.refusal(.invalidArgument, "kind_invalid", "the kind is \(request.kind): it must be a confirmation or a reversal")
    }
    paymentID = try RequestField.uuid(request.paymentID, "payment_id")
    payer = try RequestField.account(request.payerAccountID, "payer_account_id")
    payee = try RequestField.account(request.payeeAccountID, "payee_account_id")
    let code = request.amount?.currency ?? ""
    guard let money = request.amount, let currency = Currency(code: code) else {
      throw RPCError.refusal(
        .invalidArgument, "currency_unknown", "'\(code.prefix(16))' is no currency: use an ISO 4217 code in capitals, such as GBP")
    }
    guard money.minorUnits > 0 else {
      throw RPCError.refusal(
        .invalidArgument, "amount_not_positive", "the amount is \(money.minorUnits) minor units: it must be above zero")
    }
    amount = Amount(minorUnits: money.minorUnits, currency: currency)
    switch kind {
    case .reversal: reverses = try RequestField.uuid(request.reversesStepID, "reverses_step_id")
    case .confirmation:
      guard request.reversesStepID.isEmpty else {
        throw RPCError.refusal(
          .invalidArgument, "reverses_step_id_invalid", "a confirmation reverses nothing: leave reverses_step_id empty")
      }
      reverses = nil
    }
    fingerprint = SHA256.hash(try request.serialized())
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
        .invalidArgument, "reason_invalid", "the reason must be 1 to 64 of a-z and _, such as returned_mail; free text is not kept")
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
