internal import FlorinAPI
internal import Idempotency
internal import MeshProtocol
internal import Money

/// A request to pay, checked as far as that goes without looking anything up. Nothing of what fails here is stored.
struct CreateOrder {
  let scope: IdempotencyScope
  let payer: AccountID
  let payee: AccountID
  let amount: Amount

  init(_ request: PaymentAPI.CreatePaymentRequest, _ context: CallContext) throws(PaymentRefusal) {
    guard let keyText = context.idempotencyKey, !keyText.isEmpty else { throw .keyMissing }
    guard let key = IdempotencyKey(keyText) else { throw .keyNotVersion4 }
    scope = IdempotencyScope(
      caller: context.peer.description, method: PaymentAPI.PaymentsMethods.create.path, key: key)
    payer = try Self.account(request.payerAccountID, "payer_account_id")
    payee = try Self.account(request.payeeAccountID, "payee_account_id")
    guard payer != payee else { throw .sameAccount }
    guard let money = request.amount else { throw .amountMissing }
    guard let currency = Currency(code: money.currency) else { throw .currencyUnknown(money.currency) }
    guard money.minorUnits > 0 else { throw .amountNotPositive(money.minorUnits) }
    amount = Amount(minorUnits: money.minorUnits, currency: currency)
  }

  private static func account(_ text: String, _ field: String) throws(PaymentRefusal) -> AccountID {
    guard !text.isEmpty else { throw .accountMissing(field: field) }
    guard let account = AccountID(text) else { throw .accountMalformed(field: field) }
    // "clearing:GBP", "external:funding:GBP": money that belongs to nobody must not be had for the asking.
    guard !text.utf8.contains(0x3a) else { throw .accountInternal(field: field) }
    return account
  }

  /// The same for every encoding of the same request.
  var fingerprint: RequestFingerprint {
    var canonical = CanonicalRequest()
    canonical.append("payer_account_id", payer.name)
    canonical.append("payee_account_id", payee.name)
    canonical.append("amount.minor_units", amount.minorUnits)
    canonical.append("amount.currency", amount.currency.code)
    return RequestFingerprint(method: scope.method, canonical)
  }
}
