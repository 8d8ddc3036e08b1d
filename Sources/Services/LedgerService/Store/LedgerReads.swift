internal import FlorinAPI
internal import LedgerRules
internal import MeshProtocol
internal import Money
internal import Postgres

/// What a page of a statement is to contain.
struct StatementPage: Sendable {
  /// Inclusive; nil: from the first entry.
  var from: Timestamp?
  /// Exclusive; nil: until now.
  var to: Timestamp?
  var limit: Int64
  /// The sequence number of the last line of the page before; 0 for the first page.
  var after: Int64
}

/// Reads from committed rows, on the pool: any instance can answer, and the sequencer is not disturbed.
struct LedgerReads: Sendable {
  /// Lines of a trace, at most.
  static let traceLimit = 1000

  let pool: PostgresPool

  // MARK: Balance

  func balance(of account: AccountID, at instant: Timestamp?) async throws -> LedgerAPI.GetBalanceResponse {
    let rows = try await pool.query(
      """
      SELECT currency, opened_at, as_of, posted, held, entry_count, status::text AS status FROM ledger.balance_at($1, $2::timestamptz)
      """, [.text(account.name), .timestamp(orNull: instant)])
    guard let row = rows.first else { throw Self.unknown(account) }
    let opened = try row.timestamp("opened_at")
    let asOf = try row.timestamp("as_of")
    guard opened <= asOf else { throw RPCError(.notFound, "account \(account) was opened later, at \(opened)", executed: .no) }
    let currency = try row.text("currency")
    let posted = try row.int64("posted")
    return try LedgerAPI.GetBalanceResponse(
      accountID: account.name, posted: TypeAPI.Money(posted, currency),
      available: TypeAPI.Money(posted - row.int64("held"), currency), asOfUnixMicroseconds: asOf.microseconds,
      status: Self.status(row.text("status")), entryCount: UInt64(row.int64("entry_count")))
  }

  private static func unknown(_ account: AccountID) -> RPCError {
    RPCError(.notFound, "the ledger has no account \(account)", executed: .no)
  }

  private static func status(_ text: String) -> LedgerAPI.AccountStatus {
    switch text {
    case "open": .open
    case "frozen": .frozen
    case "closed": .closed
    default: .unspecified
    }
  }

  // MARK: Statement

  /// Balances are computed: from the newest checkpoint before the page, or from the first entry.
  func statement(of account: AccountID, _ page: StatementPage) async throws -> LedgerAPI.GetStatementResponse {
    try await pool.transaction(isolation: .repeatableRead, readOnly: true) { snapshot in
      // Stale statistics would turn the walk along the index into "fetch all and sort".
      try await snapshot.query("SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)")
      let accounts = try await snapshot.query(
        """
        SELECT a.account_no, a.currency, b.created_at AS head
        FROM ledger.accounts a, (SELECT created_at FROM ledger.batches ORDER BY batch_no DESC LIMIT 1) b
        WHERE a.account_id = $1
        """, [.text(account.name)])
      guard let row = accounts.first else { throw Self.unknown(account) }
      let number = try row.int64("account_no")
      let currency = try row.text("currency")
      let head = try row.timestamp("head")
      let from = page.from ?? Timestamp(microseconds: 0)
      let start = try await Self.start(snapshot, number, after: page.after, from: from)
      let lines = try await snapshot.query(
        """
        SELECT l.account_seq, l.created_at, l.transfer_id, t.type, t.reference_id, other.account_id AS counterparty, l.signed,
          ($4 + l.running)::bigint AS balance_after
        FROM (
          SELECT e.*, s.signed, sum(s.signed) OVER (ORDER BY e.created_at, e.account_seq) AS running
          FROM ledger.entries e
          CROSS JOIN LATERAL (SELECT CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END AS signed) s
          WHERE e.account_no = $1 AND e.created_at > $2 AND e.created_at < $3
        ) l
        LEFT JOIN ledger.transfers t ON t.id = l.transfer_id
        LEFT JOIN ledger.accounts other
          ON other.account_no = CASE l.direction WHEN 'CREDIT' THEN t.debit_account_no ELSE t.credit_account_no END
        WHERE l.account_seq > $5 AND l.created_at >= $6
        ORDER BY l.created_at, l.account_seq LIMIT $7
        """,
        [
          .int64(number), .timestamp(start.time), .timestamp(page.to ?? Timestamp(microseconds: head.microseconds + 1)),
          .int64(start.balance), .int64(page.after), .timestamp(from), .int64(page.limit + 1),
        ])
      return try LedgerAPI.GetStatementResponse(
        lines: lines.prefix(Int(page.limit)).map { try Self.line($0, currency) }, more: lines.count > Int(page.limit),
        asOfUnixMicroseconds: head.microseconds)
    }
  }

  /// Where to begin to add up: a checkpoint with no line of the page at or before it.
  private static func start(
    _ snapshot: PostgresTransaction, _ number: Int64, after: Int64, from: Timestamp
  ) async throws -> (time: Timestamp, balance: Int64) {
    let rows = try await snapshot.query(
      """
      SELECT as_of, balance FROM (
        (SELECT as_of, balance FROM derived.checkpoints WHERE account_no = $1 AND account_seq <= $2 ORDER BY account_seq DESC LIMIT 1)
        UNION ALL
        (SELECT as_of, balance FROM derived.checkpoints WHERE account_no = $1 AND as_of < $3 ORDER BY as_of DESC LIMIT 1)
      ) candidates ORDER BY as_of DESC LIMIT 1
      """, [.int64(number), .int64(after), .timestamp(from)])
    guard let row = rows.first else { return (Timestamp(microseconds: 0), 0) }
    return try (row.timestamp("as_of"), row.int64("balance"))
  }

  private static func line(_ row: SQLRow, _ currency: String) throws -> LedgerAPI.StatementLine {
    try LedgerAPI.StatementLine(
      sequence: UInt64(row.int64("account_seq")), bookedAtUnixMicroseconds: row.timestamp("created_at").microseconds,
      transferID: row.uuid("transfer_id").description, type: row.textOrNil("type") ?? "",
      referenceID: row.uuidOrNil("reference_id")?.description ?? "", counterpartyAccountID: row.textOrNil("counterparty") ?? "",
      amount: TypeAPI.Money(row.int64("signed"), currency), balanceAfter: TypeAPI.Money(row.int64("balance_after"), currency))
  }

  // MARK: Transfer

  /// Outcome UNKNOWN if there is none.
  func transfer(_ id: UUID128) async throws -> LedgerAPI.TransferRecord {
    let rows = try await pool.query(
      """
      SELECT t.outcome::text AS outcome, t.reason, t.kind::text AS kind, d.account_id AS debit, c.account_id AS credit, t.amount,
        t.currency, t.type, t.reference_id, t.linked_id, t.value_date, t.created_at, t.batch_no
      FROM ledger.transfers t
      LEFT JOIN ledger.accounts d ON d.account_no = t.debit_account_no
      LEFT JOIN ledger.accounts c ON c.account_no = t.credit_account_no
      WHERE t.id = $1
      """, [.uuid(id)])
    guard let row = rows.first else { return LedgerAPI.TransferRecord(id: id.description, outcome: .unknown) }
    var record = try LedgerAPI.TransferRecord(
      id: id.description, outcome: Self.outcome(row.text("outcome")), reason: Self.reason(row.textOrNil("reason")),
      kind: row.text("kind"), debitAccountID: row.textOrNil("debit") ?? "", creditAccountID: row.textOrNil("credit") ?? "",
      type: row.textOrNil("type") ?? "", referenceID: row.uuid("reference_id").description,
      linkedTransferID: row.uuidOrNil("linked_id")?.description ?? "",
      valueDate: Int32(clamping: row.dateOrNil("value_date")?.daysSinceEpoch ?? 0),
      bookedAtUnixMicroseconds: row.timestamp("created_at").microseconds, batchNumber: UInt64(row.int64("batch_no")))
    if let amount = try row.int64OrNil("amount"), let currency = try row.textOrNil("currency") {
      record.amount = TypeAPI.Money(amount, currency)
    }
    return record
  }

  private static func outcome(_ text: String) -> LedgerAPI.Outcome {
    switch text {
    case "posted": .posted
    case "declined": .declined
    case "tombstone": .tombstone
    default: .unspecified
    }
  }

  private static func reason(_ text: String?) -> LedgerAPI.Reason {
    text.flatMap(DeclineReason.init).map(\.wire) ?? .unspecified
  }
}
