internal import FlorinAPI
internal import Money
internal import Postgres

extension LedgerReads {
  /// Everything under a reference (a payment), or of the transfer itself if the id is one's: the rows and their entries, in the
  /// order of booking.
  func trace(of id: UUID128) async throws -> [TypeAPI.TraceLine] {
    try await pool.transaction(isolation: .repeatableRead, readOnly: true) { snapshot in
      let transfers = try await snapshot.query(
        """
        SELECT t.id, t.batch_no, t.position, t.kind::text AS kind, t.outcome::text AS outcome, t.reason, d.account_id AS debit,
          c.account_id AS credit, t.amount, t.currency, t.type, t.reference_id, t.linked_id, t.unknown_account_id, t.requested_by,
          t.created_at, encode(t.row_hash, 'hex') AS row_hash
        FROM (
          SELECT * FROM ledger.transfers WHERE reference_id = $1
          UNION SELECT * FROM ledger.transfers
            WHERE id IN (SELECT $1 UNION ALL SELECT by_id FROM ledger.resolutions WHERE linked_id = $1)
        ) t
        LEFT JOIN ledger.accounts d ON d.account_no = t.debit_account_no
        LEFT JOIN ledger.accounts c ON c.account_no = t.credit_account_no
        ORDER BY t.batch_no, t.position LIMIT $2
        """, [.uuid(id), .int64(Int64(Self.traceLimit))])
      let entries = try await snapshot.query(
        """
        SELECT e.transfer_id, e.account_seq, e.direction::text AS direction, e.amount, e.created_at, a.account_id, a.currency,
          (coalesce(k.balance, 0) + coalesce(tail.balance, 0))::bigint AS balance_after
        FROM ledger.transfers t
        JOIN ledger.entries e
          ON e.account_no IN (t.debit_account_no, t.credit_account_no) AND e.created_at = t.created_at AND e.transfer_id = t.id
        JOIN ledger.accounts a ON a.account_no = e.account_no
        LEFT JOIN LATERAL (SELECT * FROM derived.checkpoints c
          WHERE c.account_no = e.account_no AND c.account_seq <= e.account_seq ORDER BY c.account_seq DESC LIMIT 1) k ON true
        CROSS JOIN LATERAL (
          SELECT sum(CASE p.direction WHEN 'CREDIT' THEN p.amount ELSE -p.amount END) AS balance FROM ledger.entries p
          WHERE p.account_no = e.account_no AND p.created_at > coalesce(k.as_of, '-infinity') AND p.created_at <= e.created_at
            AND p.account_seq <= e.account_seq) tail
        WHERE t.id = ANY ($1)
        ORDER BY e.direction
        """, [.uuidArray(try transfers.map { try $0.uuid("id") })])
      var entriesByTransfer: [UUID128: [SQLRow]] = [:]
      for entry in entries { entriesByTransfer[try entry.uuid("transfer_id"), default: []].append(entry) }
      return try transfers.flatMap { row in
        try [Self.transferLine(row)] + (entriesByTransfer[row.uuid("id")] ?? []).map(Self.entryLine)
      }
    }
  }

  private static func transferLine(_ row: SQLRow) throws -> TypeAPI.TraceLine {
    let kind = try row.text("kind")
    let outcome = try row.text("outcome")
    let amount = try money(row.int64OrNil("amount"), row.textOrNil("currency"))
    let debit = try row.textOrNil("debit")
    let credit = try row.textOrNil("credit")
    let type = try row.textOrNil("type")
    let reason = try row.textOrNil("reason")
    let linked = try row.uuidOrNil("linked_id")?.description
    var summary: String
    switch kind {
    case "hold": summary = "hold of \(amount ?? "?") on \(debit ?? "?")"
    case "release": summary = "release of hold \(linked ?? "?")" + (amount.map { " of \($0) on \(debit ?? "?")" } ?? "")
    case "reversal": summary = "reversal of \(linked ?? "?")" + (amount.map { ": \($0) from \(debit ?? "?") to \(credit ?? "?")" } ?? "")
    case "tombstone": summary = "the id is forbidden: whatever comes under it is refused"
    default: summary = "\(amount ?? "?") from \(debit ?? "?") to \(credit ?? "?")"
    }
    if let reason { summary += "; declined: \(reason)" }
    var fields: [TypeAPI.TraceField] = []
    func add(_ name: String, _ value: String?) {
      if let value { fields.append(TypeAPI.TraceField(name: name, value: value)) }
    }
    add("kind", kind)
    add("outcome", outcome)
    add("reason", reason)
    add("unknown_account_id", try row.textOrNil("unknown_account_id"))
    add("type", type)
    add("debit_account_id", debit)
    add("credit_account_id", credit)
    add("amount", amount)
    add("linked_id", linked)
    add("reference_id", try row.uuid("reference_id").description)
    add("requested_by", try row.text("requested_by"))
    add("batch", try "\(row.int64("batch_no"))")
    add("row_hash", try row.text("row_hash"))
    return try TypeAPI.TraceLine(
      atUnixMicroseconds: row.timestamp("created_at").microseconds, service: "ledger", table: "transfers",
      row: row.uuid("id").description, event: "ledger.\(outcome)", summary: summary, fields: fields)
  }

  private static func entryLine(_ row: SQLRow) throws -> TypeAPI.TraceLine {
    let account = try row.text("account_id")
    let currency = try row.text("currency")
    let direction = try row.text("direction")
    let amount = try money(row.int64("amount"), currency) ?? "?"
    let balance = try money(row.int64("balance_after"), currency) ?? "?"
    let sequence = try row.int64("account_seq")
    return try TypeAPI.TraceLine(
      atUnixMicroseconds: row.timestamp("created_at").microseconds, service: "ledger", table: "entries", row: "\(account)/\(sequence)",
      event: "ledger.entry", summary: "\(direction) \(account) \(amount); balance \(balance)",
      fields: [
        TypeAPI.TraceField(name: "account_id", value: account), TypeAPI.TraceField(name: "direction", value: direction),
        TypeAPI.TraceField(name: "amount", value: amount), TypeAPI.TraceField(name: "balance_after", value: balance),
        TypeAPI.TraceField(name: "transfer_id", value: try row.uuid("transfer_id").description),
      ])
  }

  private static func money(_ minorUnits: Int64?, _ currency: String?) -> String? {
    guard let minorUnits, let currency else { return nil }
    guard let known = Currency(code: currency) else { return "\(minorUnits) \(currency) minor units" }
    return Amount(minorUnits: minorUnits, currency: known).description
  }
}
