internal import LedgerRules
internal import Money
internal import Postgres

/// A whole batch as one statement: column arrays, unnested by the server.
///
/// The fence acts in it: if another writer has appended since, the new batch row finds its number taken, or its predecessor's
/// hash changed, and the statement fails with a unique or foreign key violation.
enum BatchStatement {
  /// Returns one row, `now`: the server's clock.
  static func insert(_ batch: Batch) -> SQLStatement { SQLStatement(sql, parameters(of: batch)) }

  private static let sql: StaticString = """
    WITH header AS (
      INSERT INTO ledger.batches
        (batch_no, prev_no, prev_hash, epoch, transfer_count, entry_count, event_count, hash_version, hash, created_at)
      VALUES ($1, $1 - 1, $2, $3, $4, $5, $6, $7, $8, $9)
    ), opened AS (
      INSERT INTO ledger.accounts (account_no, account_id, currency, policy, batch_no, created_at)
      SELECT n, id, currency, policy::ledger.balance_policy, $1, $9
      FROM unnest($10, $11, $12, $13) AS u (n, id, currency, policy)
    ), happened AS (
      INSERT INTO ledger.account_events (event_id, batch_no, position, kind, outcome, reason, account_no, account_id, currency,
        policy, status, requested_by, fingerprint, created_at, row_hash)
      SELECT id, $1, position, kind::ledger.account_event_kind, outcome::ledger.posting_outcome, reason, n, account_id, currency,
        policy::ledger.balance_policy, status::ledger.account_status, requested_by, fingerprint, $9, row_hash
      FROM unnest($14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
        AS u (id, position, kind, outcome, reason, n, account_id, currency, policy, status, requested_by, fingerprint, row_hash)
    ), decided AS MATERIALIZED (
      SELECT * FROM unnest($27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46)
        AS u (id, position, kind, outcome, reason, debit, credit, amount, currency, type, reference, linked, group_position,
          value_day, unknown, requested_by, fingerprint, row_hash, debit_seq, credit_seq)
    ), transferred AS (
      INSERT INTO ledger.transfers (id, batch_no, position, kind, outcome, reason, debit_account_no, credit_account_no, amount,
        currency, type, reference_id, linked_id, group_position, value_date, unknown_account_id, requested_by, fingerprint,
        created_at, row_hash)
      SELECT id, $1, position, kind::ledger.posting_kind, outcome::ledger.posting_outcome, reason, debit, credit, amount, currency,
        type, reference, linked, group_position, date '1970-01-01' + value_day::integer, unknown, requested_by, fingerprint, $9,
        row_hash
      FROM decided
    ), resolved AS (
      INSERT INTO ledger.resolutions (linked_id, by_id)
      SELECT linked, id FROM decided WHERE linked IS NOT NULL AND outcome = 'posted'
    ), entered AS (
      INSERT INTO ledger.entries (account_no, account_seq, direction, amount, transfer_id, created_at)
      SELECT debit, debit_seq, 'DEBIT'::ledger.entry_direction, amount, id, $9 FROM decided WHERE debit_seq IS NOT NULL
      UNION ALL
      SELECT credit, credit_seq, 'CREDIT'::ledger.entry_direction, amount, id, $9 FROM decided WHERE credit_seq IS NOT NULL
    )
    SELECT clock_timestamp() AS now
    """

  private static func parameters(of batch: Batch) -> [SQLValue] {
    let header = batch.header
    var debitSequences: [Int64?] = []
    var creditSequences: [Int64?] = []
    var next = 0
    for row in batch.transfers {
      let moved = row.outcome == .posted && row.kind.movesMoney
      debitSequences.append(moved ? batch.entries[next].accountSequence : nil)
      creditSequences.append(moved ? batch.entries[next + 1].accountSequence : nil)
      next += moved ? 2 : 0
    }
    let events = batch.events
    let rows = batch.transfers
    return [
      .int64(header.number), .bytes(header.previousHash), .int64(header.epoch), .int64(header.transferCount),
      .int64(header.entryCount), .int64(header.eventCount), .int64(BatchHeader.hashVersion), .bytes(batch.hash),
      .timestamp(header.createdAt),

      .int64Array(batch.accounts.map(\.number)), .textArray(batch.accounts.map(\.id)), .textArray(batch.accounts.map(\.currency)),
      .textArray(batch.accounts.map(\.policy.rawValue)),

      .uuidArray(events.map(\.id)), .int64Array(events.map(\.position)), .textArray(events.map(\.kind.rawValue)),
      .textArray(events.map(\.outcome.rawValue)), .nullableTextArray(events.map(\.reason)),
      .nullableInt64Array(events.map(\.accountNumber)), .textArray(events.map(\.accountID)),
      .nullableTextArray(events.map(\.currency)), .nullableTextArray(events.map { $0.policy?.rawValue }),
      .textArray(events.map(\.status.rawValue)), .textArray(events.map(\.requestedBy)), .bytesArray(events.map(\.fingerprint)),
      .bytesArray(batch.eventHashes),

      .uuidArray(rows.map(\.id)), .int64Array(rows.map(\.position)), .textArray(rows.map(\.kind.rawValue)),
      .textArray(rows.map(\.outcome.rawValue)), .nullableTextArray(rows.map(\.reason)), .nullableInt64Array(rows.map(\.debit)),
      .nullableInt64Array(rows.map(\.credit)), .nullableInt64Array(rows.map(\.amount)), .nullableTextArray(rows.map(\.currency)),
      .nullableTextArray(rows.map(\.type)), .uuidArray(rows.map(\.reference)), .nullableUUIDArray(rows.map(\.linked)),
      .nullableInt64Array(rows.map(\.groupPosition)), .nullableInt64Array(rows.map { $0.valueDate?.daysSinceEpoch }),
      .nullableTextArray(rows.map(\.unknownAccount)), .textArray(rows.map(\.requestedBy)), .bytesArray(rows.map(\.fingerprint)),
      .bytesArray(batch.transferHashes), .nullableInt64Array(debitSequences), .nullableInt64Array(creditSequences),
    ]
  }
}
