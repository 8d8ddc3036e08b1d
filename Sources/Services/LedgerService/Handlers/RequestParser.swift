internal import FlorinAPI
internal import LedgerRules
internal import MeshProtocol
internal import Money

/// Wire messages as the rules' values; what cannot be one is refused here, with a sentence that says what to send instead.
struct RequestParser: Sendable {
  static let postingsLimit = 1000

  var months: IDWindow
  var now: Timestamp

  static func refusal(_ message: String) -> RPCError { RPCError(.invalidArgument, message, executed: .no) }

  // MARK: Postings

  func postings(_ request: LedgerAPI.PostRequest) throws(RPCError) -> [Posting] {
    guard !request.postings.isEmpty else { throw Self.refusal("postings is empty: send 1 to \(Self.postingsLimit)") }
    guard request.postings.count <= Self.postingsLimit else {
      throw Self.refusal("\(request.postings.count) postings in one request: send \(Self.postingsLimit) at most")
    }
    var postings: [Posting] = []
    postings.reserveCapacity(request.postings.count)
    var ids: Set<TransferID> = []
    for (index, message) in request.postings.enumerated() {
      let posting = try posting(message, field: "postings[\(index)]")
      guard ids.insert(posting.id).inserted else {
        throw Self.refusal("postings[\(index)].id \(posting.id) occurs twice in the request: each posting has an id of its own")
      }
      if request.linked && request.postings.count > 1 && posting.kind == .tombstone {
        throw Self.refusal("postings[\(index)] is a tombstone, which is final by itself: send it in a request that is not linked")
      }
      postings.append(posting)
    }
    return postings
  }

  private func posting(_ message: LedgerAPI.Posting, field: String) throws(RPCError) -> Posting {
    let id = try transferID(message.id, field: field + ".id")
    try months.check(id.uuid, field: field + ".id", now: now)
    switch message.body {
    case .transfer(let body): return Posting(id: id, body: try transfer(body, field: field + ".transfer"))
    case .reversal(let body):
      let field = field + ".reversal"
      return Posting(
        id: id,
        body: .reversal(
          of: try transferID(body.transferID, field: field + ".transfer_id"), type: try Self.type(body.type, field: field + ".type"),
          reference: try Self.uuid(body.referenceID, field: field + ".reference_id")))
    case .hold(let body):
      let field = field + ".hold"
      return Posting(
        id: id,
        body: .hold(
          account: try Self.account(body.accountID, field: field + ".account_id"),
          amount: try Self.amount(body.amount, field: field + ".amount"), type: try Self.type(body.type, field: field + ".type"),
          reference: try Self.uuid(body.referenceID, field: field + ".reference_id")))
    case .release(let body):
      let field = field + ".release"
      return Posting(
        id: id,
        body: .release(
          of: try transferID(body.holdID, field: field + ".hold_id"), type: try Self.type(body.type, field: field + ".type"),
          reference: try Self.uuid(body.referenceID, field: field + ".reference_id")))
    case .tombstone(let body):
      return Posting(id: id, body: .tombstone(reference: try Self.uuid(body.referenceID, field: field + ".tombstone.reference_id")))
    case nil: throw Self.refusal("\(field) has no body: set transfer, reversal, hold, release or tombstone")
    }
  }

  private func transfer(_ body: LedgerAPI.Transfer, field: String) throws(RPCError) -> Posting.Body {
    let debit = try Self.account(body.debitAccountID, field: field + ".debit_account_id")
    let credit = try Self.account(body.creditAccountID, field: field + ".credit_account_id")
    guard debit != credit else {
      throw Self.refusal("\(field) debits and credits the same account, \(debit): the two must differ")
    }
    var valueDate: CivilDate?
    if body.valueDate != 0 {
      let date = CivilDate(daysSinceEpoch: Int64(body.valueDate))
      // One day of grace for time zones east of UTC.
      guard body.valueDate > 0, date.daysSinceEpoch <= now.daysSinceEpoch + 1 else {
        throw Self.refusal(
          "\(field).value_date is \(body.valueDate) days since 1970-01-01 (\(date)): it may not lie in the future or before 1970")
      }
      valueDate = date
    }
    return .transfer(
      debit: debit, credit: credit, amount: try Self.amount(body.amount, field: field + ".amount"),
      type: try Self.type(body.type, field: field + ".type"),
      reference: try Self.uuid(body.referenceID, field: field + ".reference_id"), valueDate: valueDate)
  }

  func funding(_ request: LedgerAPI.FundRequest) throws(RPCError) -> Posting {
    let id = try transferID(request.transferID, field: "transfer_id")
    try months.check(id.uuid, field: "transfer_id", now: now)
    let account = try Self.account(request.accountID, field: "account_id")
    let amount = try Self.amount(request.amount, field: "amount")
    let source = AccountID.externalFunding(amount.currency)
    guard account != source else { throw Self.refusal("account_id is \(source) itself: name the account to be funded") }
    return Posting(
      id: id,
      body: .transfer(debit: source, credit: account, amount: amount, type: "funding", reference: id.uuid, valueDate: nil))
  }

  private func transferID(_ text: String, field: String) throws(RPCError) -> TransferID {
    guard let id = TransferID(try Self.uuid(text, field: field)) else {
      throw Self.refusal(
        "\(field) \(text) is not time-ordered: send a UUID of version 7 or 8, whose first 48 bits are milliseconds since 1970")
    }
    return id
  }

  // MARK: Accounts

  /// The commands that open an account: those of the ledger's own accounts of that currency too, for whom it is the first.
  static func opening(_ request: LedgerAPI.OpenLedgerAccountRequest) throws(RPCError) -> [AccountCommand] {
    let event = try uuid(request.eventID, field: "event_id")
    let account = try account(request.accountID, field: "account_id")
    let currency = try currency(request.currency, field: "currency")
    let policy: BalancePolicy
    switch request.policy {
    case .limited: policy = .limited
    case .unlimited: policy = .unlimited
    case .unspecified, .unrecognized: throw refusal("policy is missing: send BALANCE_POLICY_LIMITED or BALANCE_POLICY_UNLIMITED")
    }
    return [AccountID.clearing(currency), .externalFunding(currency)].map { .opening(system: $0, currency: currency) }
      + [AccountCommand(eventID: event, account: account, change: .open(currency: currency, policy: policy))]
  }

  static func statusChange(_ request: LedgerAPI.SetAccountStatusRequest) throws(RPCError) -> AccountCommand {
    let event = try uuid(request.eventID, field: "event_id")
    let account = try account(request.accountID, field: "account_id")
    let status: AccountStatus
    switch request.status {
    case .open: status = .open
    case .frozen: status = .frozen
    case .closed: status = .closed
    case .unspecified, .unrecognized:
      throw refusal("status is missing: send ACCOUNT_STATUS_OPEN, ACCOUNT_STATUS_FROZEN or ACCOUNT_STATUS_CLOSED")
    }
    return AccountCommand(eventID: event, account: account, change: .setStatus(status))
  }

  // MARK: Fields

  static func account(_ text: String, field: String) throws(RPCError) -> AccountID {
    guard let account = AccountID(text) else {
      throw refusal(
        text.isEmpty
          ? "\(field) is missing" : "\(field) is not an account id: 1 to 64 of A-Z a-z 0-9 : _ -, starting with a letter or digit")
    }
    return account
  }

  static func uuid(_ text: String, field: String) throws(RPCError) -> UUID128 {
    guard let uuid = UUID128(text) else {
      throw refusal(
        text.isEmpty
          ? "\(field) is missing: send a UUID"
          : "\(field) is not a UUID in its 36-character form, such as 01a2053c-6610-7000-8000-000000000001")
    }
    return uuid
  }

  private static func currency(_ code: String, field: String) throws(RPCError) -> Currency {
    guard let currency = Currency(code: code) else {
      throw refusal("\(field) '\(code.prefix(16))' is not an active ISO 4217 currency: send three upper-case letters, such as GBP")
    }
    return currency
  }

  private static func amount(_ message: TypeAPI.Money?, field: String) throws(RPCError) -> Amount {
    guard let message else { throw refusal("\(field) is missing") }
    let currency = try currency(message.currency, field: field + ".currency")
    guard message.minorUnits > 0 else {
      throw refusal("\(field).minor_units is \(message.minorUnits): an amount must be above zero (swap the accounts to move money back)")
    }
    return Amount(minorUnits: message.minorUnits, currency: currency)
  }

  private static func type(_ text: String, field: String) throws(RPCError) -> String {
    guard (1...32).contains(text.utf8.count), text.utf8.allSatisfy({ (0x61...0x7a).contains($0) || $0 == 0x5f }) else {
      throw refusal("\(field) must be 1 to 32 of a-z and _, such as payment_debit")
    }
    return text
  }
}
