internal import FlorinAPI
internal import Money
internal import Postgres

/// An account and where it stands: a row of `account.account_states`.
struct AccountRecord: Hashable, Sendable {
  let id: AccountID
  let reference: String
  let currency: String
  let status: AccountStatus
  let openedAt: Timestamp
  let changedAt: Timestamp
  let lastSequence: Int32
  let lastEventID: UUID128
  /// Whether the ledger has not decided the last event yet.
  let isPending: Bool

  init(_ row: SQLRow) throws {
    let name = try row.text("account_id")
    guard let id = AccountID(name), let status = AccountStatus(rawValue: try row.text("status")) else {
      throw StoredAccountError.unreadable(name)
    }
    self.id = id
    reference = try row.text("reference")
    currency = try row.text("currency")
    self.status = status
    openedAt = try row.timestamp("opened_at")
    changedAt = try row.timestamp("changed_at")
    lastSequence = try row.int32("last_sequence")
    lastEventID = try row.uuid("last_event_id")
    isPending = try row.textOrNil("last_outcome") == nil
  }

  var message: AccountAPI.Account {
    let status: AccountAPI.AccountStatus =
      switch self.status {
      case .opening: .unspecified
      case .open: .open
      case .frozen: .frozen
      case .closed: .closed
      }
    return AccountAPI.Account(
      accountID: id.name, reference: reference, currency: currency, status: status,
      openedAtUnixMicroseconds: openedAt.microseconds, changedAtUnixMicroseconds: changedAt.microseconds)
  }
}

/// A row that this build cannot understand.
enum StoredAccountError: Error, Hashable, CustomStringConvertible {
  case unreadable(String)

  var description: String {
    switch self {
    case .unreadable(let id): "the rows of \(id) hold an account id, an event or a status that this build does not know"
    }
  }
}
