internal import Money
internal import Postgres

/// One thing that was asked for an account, under the id by which the ledger knows it.
struct AccountEvent: Hashable, Sendable {
  /// What the ledger made of it.
  enum Result: Hashable, Sendable {
    case posted(bookedAt: Timestamp, batch: Int64)
    case declined(reason: String)
  }

  let id: UUID128
  let accountID: AccountID
  let currency: String
  let change: AccountChange
  let reason: String
  let traceparent: String?
  /// Nil: not decided yet.
  let result: Result?

  /// From `account.account_events` with its account and, if there is one, its result.
  init(_ row: SQLRow) throws {
    let name = try row.text("account_id")
    guard let account = AccountID(name), let change = AccountChange(rawValue: try row.text("kind")) else {
      throw StoredAccountError.unreadable(name)
    }
    id = try row.uuid("event_id")
    accountID = account
    currency = try row.text("currency")
    self.change = change
    reason = try row.text("reason")
    traceparent = try row.textOrNil("traceparent")
    switch try row.textOrNil("outcome") {
    case "posted": result = .posted(bookedAt: try row.timestamp("booked_at"), batch: try row.int64("batch_no"))
    case "declined": result = .declined(reason: try row.text("result_reason"))
    default: result = nil
    }
  }

  /// The id of an event: time-ordered (version 8), made of the instant of the request and a hash. It is made once, before the
  /// event's row is committed, and from then on read from there.
  static func makeID(of change: AccountChange, sequence: Int32, for account: AccountID, at time: Timestamp) -> UUID128 {
    UUID128.deterministic(at: time, name: Array("account.\(change.rawValue):\(account.name):\(sequence)".utf8))
  }
}
