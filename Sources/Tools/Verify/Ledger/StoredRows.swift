internal import LedgerRules
internal import Money
internal import Postgres

/// Rows of the ledger as they are stored, hashes included.
struct StoredBatch: Sendable {
  var header: BatchHeader
  var previousNumber: Int64?
  var hashVersion: Int64
  var hash: [UInt8]

  init(_ row: SQLRow) throws {
    header = try BatchHeader(
      number: row.int64("batch_no"), previousHash: row.bytesOrNil("prev_hash") ?? [], epoch: row.int64("epoch"),
      transferCount: row.int64("transfer_count"), entryCount: row.int64("entry_count"), eventCount: row.int64("event_count"),
      createdAt: row.timestamp("created_at"))
    previousNumber = try row.int64OrNil("prev_no")
    hashVersion = try row.int64("hash_version")
    hash = try row.bytes("hash")
  }
}

struct StoredTransfer: Sendable {
  var row: TransferRow
  var hash: [UInt8]

  init(_ stored: SQLRow) throws {
    let id = try stored.uuid("id")
    guard let kind = PostingKind(rawValue: try stored.text("kind")), let outcome = PostingOutcome(rawValue: try stored.text("outcome"))
    else { throw PostgresError(.typeMismatch, "transfer \(id) is of a kind or outcome that this version does not know") }
    row = try TransferRow(
      id: id, batchNumber: stored.int64("batch_no"), position: stored.int64("position"), kind: kind, outcome: outcome,
      reason: stored.textOrNil("reason"), debit: stored.int64OrNil("debit_account_no"), credit: stored.int64OrNil("credit_account_no"),
      amount: stored.int64OrNil("amount"), currency: stored.textOrNil("currency"), type: stored.textOrNil("type"),
      reference: stored.uuid("reference_id"), linked: stored.uuidOrNil("linked_id"), groupPosition: stored.int64OrNil("group_position"),
      valueDate: stored.dateOrNil("value_date"), unknownAccount: stored.textOrNil("unknown_account_id"),
      requestedBy: stored.text("requested_by"), fingerprint: stored.bytes("fingerprint"), createdAt: stored.timestamp("created_at"))
    hash = try stored.bytes("row_hash")
  }
}

struct StoredEvent: Sendable {
  var row: AccountEventRow
  var hash: [UInt8]

  init(_ stored: SQLRow) throws {
    let id = try stored.uuid("event_id")
    guard let kind = AccountEventKind(rawValue: try stored.text("kind")),
      let outcome = PostingOutcome(rawValue: try stored.text("outcome")), let status = AccountStatus(rawValue: try stored.text("status"))
    else { throw PostgresError(.typeMismatch, "account event \(id) is of a kind that this version does not know") }
    row = try AccountEventRow(
      id: id, batchNumber: stored.int64("batch_no"), position: stored.int64("position"), kind: kind, outcome: outcome,
      reason: stored.textOrNil("reason"), accountNumber: stored.int64OrNil("account_no"), accountID: stored.text("account_id"),
      currency: stored.textOrNil("currency"), policy: stored.textOrNil("policy").flatMap(BalancePolicy.init), status: status,
      requestedBy: stored.text("requested_by"), fingerprint: stored.bytes("fingerprint"), createdAt: stored.timestamp("created_at"))
    hash = try stored.bytes("row_hash")
  }
}

extension AccountRow {
  init(_ stored: SQLRow) throws {
    let id = try stored.text("account_id")
    guard let policy = BalancePolicy(rawValue: try stored.text("policy")) else {
      throw PostgresError(.typeMismatch, "account \(id) has a policy that this version does not know")
    }
    self = try AccountRow(
      number: stored.int64("account_no"), id: id, currency: stored.text("currency"), policy: policy,
      batchNumber: stored.int64("batch_no"), createdAt: stored.timestamp("created_at"))
  }
}

extension EntryRow {
  init(_ stored: SQLRow) throws {
    guard let direction = EntryDirection(rawValue: try stored.text("direction")) else {
      throw PostgresError(.typeMismatch, "an entry has a direction that this version does not know")
    }
    self = try EntryRow(
      accountNumber: stored.int64("account_no"), accountSequence: stored.int64("account_seq"), direction: direction,
      amount: stored.int64("amount"), transferID: stored.uuid("transfer_id"), createdAt: stored.timestamp("created_at"))
  }

  /// "42/7": the account's number and the sequence.
  var key: String { "\(accountNumber)/\(accountSequence)" }
}

/// A row of `derived.checkpoints`.
struct StoredCheckpoint: Sendable {
  var account: Int64
  var asOf: Timestamp
  var sequence: Int64
  var balance: Int64
  var held: Int64

  init(_ stored: SQLRow) throws {
    account = try stored.int64("account_no")
    asOf = try stored.timestamp("as_of")
    sequence = try stored.int64("account_seq")
    balance = try stored.int64("balance")
    held = try stored.int64("held")
  }
}
