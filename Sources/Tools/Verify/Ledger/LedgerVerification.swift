internal import LedgerRules
internal import Money
internal import Postgres

/// What the verification of the ledger found, and what the other databases are held against.
struct VerifiedLedger: Sendable {
  var end: (number: Int64, hash: [UInt8])
  var tallies: [InvariantTally]
}

/// Verifies the ledger within one snapshot: replays all batches, then compares what is derived elsewhere.
struct LedgerVerification {
  /// Rows of a page, about: what is held in memory at a time.
  private static let pageRows: Int64 = 20_000

  private let snapshot: PostgresTransaction

  init(_ snapshot: PostgresTransaction) { self.snapshot = snapshot }

  func run() async throws -> VerifiedLedger {
    let rows = try await snapshot.query(
      """
      SELECT account_no, account_id, currency, policy::text AS policy, batch_no, created_at FROM ledger.accounts ORDER BY account_no
      """)
    var replay = LedgerReplay(accounts: try rows.map { try AccountRow($0) })
    while true {
      let batches = try await nextBatches(after: replay.end.number)
      guard !batches.isEmpty else { break }
      for page in try await pages(of: batches) { replay.replay(page) }
    }
    try await findStrays(&replay)
    var tallies = [
      replay.chain, replay.strays, replay.zeroSum, replay.sequences, replay.limits, replay.links, replay.statuses, replay.checkpoints,
    ]
    try await tallies.append(resolutions())
    try await tallies.append(view(replay))
    try await tallies.append(balances(replay))
    try await tallies.append(privileges())
    return VerifiedLedger(end: replay.end, tallies: tallies)
  }

  // MARK: Pages

  private func nextBatches(after number: Int64) async throws -> [StoredBatch] {
    let rows = try await snapshot.query(
      """
      SELECT batch_no, prev_no, prev_hash, epoch, transfer_count, entry_count, event_count, hash_version, hash, created_at
      FROM ledger.batches WHERE batch_no > $1 ORDER BY batch_no LIMIT 500
      """, [.int64(number)])
    var batches: [StoredBatch] = []
    var weight: Int64 = 0
    for row in rows {
      let batch = try StoredBatch(row)
      weight += max(0, batch.header.transferCount) + max(0, batch.header.eventCount)
      if weight > Self.pageRows && !batches.isEmpty { break }
      batches.append(batch)
    }
    return batches
  }

  private func pages(of batches: [StoredBatch]) async throws -> [LedgerReplay.Page] {
    let first = batches[0].header
    let last = batches[batches.count - 1].header
    let transfers = try await snapshot.query(
      """
      SELECT id, batch_no, position, kind::text AS kind, outcome::text AS outcome, reason, debit_account_no, credit_account_no,
        amount, currency, type, reference_id, linked_id, group_position, value_date, unknown_account_id, requested_by, fingerprint,
        created_at, row_hash
      FROM ledger.transfers WHERE batch_no BETWEEN $1 AND $2 ORDER BY batch_no, position
      """, [.int64(first.number), .int64(last.number)]
    ).map { try StoredTransfer($0) }
    let events = try await snapshot.query(
      """
      SELECT event_id, batch_no, position, kind::text AS kind, outcome::text AS outcome, reason, account_no, account_id, currency,
        policy::text AS policy, status::text AS status, requested_by, fingerprint, created_at, row_hash
      FROM ledger.account_events WHERE batch_no BETWEEN $1 AND $2 ORDER BY batch_no, position
      """, [.int64(first.number), .int64(last.number)]
    ).map { try StoredEvent($0) }
    let times: [SQLValue] = [.timestamp(first.createdAt), .timestamp(max(first.createdAt, last.createdAt))]
    let entries = try await snapshot.query(
      """
      SELECT account_no, account_seq, direction::text AS direction, amount, transfer_id, created_at
      FROM ledger.entries WHERE created_at BETWEEN $1 AND $2 ORDER BY created_at, transfer_id, entries.direction
      """, times
    ).map { try EntryRow($0) }
    let checkpoints = try await snapshot.query(
      "SELECT account_no, as_of, account_seq, balance, held FROM derived.checkpoints WHERE as_of BETWEEN $1 AND $2", times
    ).map { try StoredCheckpoint($0) }
    let originals = try await originals(of: transfers)
    let transfersByBatch = Dictionary(grouping: transfers, by: \.row.batchNumber)
    let eventsByBatch = Dictionary(grouping: events, by: \.row.batchNumber)
    let entriesByTime = Dictionary(grouping: entries, by: \.createdAt)
    let checkpointsByTime = Dictionary(grouping: checkpoints, by: \.asOf)
    return batches.map { batch in
      let header = batch.header
      return LedgerReplay.Page(
        batch: batch, transfers: transfersByBatch[header.number] ?? [], events: eventsByBatch[header.number] ?? [],
        entries: Dictionary(grouping: entriesByTime[header.createdAt] ?? [], by: \.transferID),
        checkpoints: checkpointsByTime[header.createdAt] ?? [], originals: originals)
    }
  }

  private func originals(of transfers: [StoredTransfer]) async throws -> [UUID128: TransferRow] {
    let wanted = Set(transfers.compactMap(\.row.linked)).sorted()
    guard !wanted.isEmpty else { return [:] }
    let rows = try await snapshot.query(
      """
      SELECT id, batch_no, position, kind::text AS kind, outcome::text AS outcome, reason, debit_account_no, credit_account_no,
        amount, currency, type, reference_id, linked_id, group_position, value_date, unknown_account_id, requested_by, fingerprint,
        created_at, row_hash
      FROM unnest($1) AS wanted (wanted_id) JOIN ledger.transfers ON id = wanted_id
      """, [.uuidArray(wanted)])
    return Dictionary(try rows.map { try StoredTransfer($0).row }.map { ($0.id, $0) }) { first, _ in first }
  }

  // MARK: Rows that no batch knows of

  private func findStrays(_ replay: inout LedgerReplay) async throws {
    let counts = try await snapshot.query(
      """
      SELECT (SELECT count(*) FROM ledger.transfers) AS transfers, (SELECT count(*) FROM ledger.entries) AS entries,
        (SELECT count(*) FROM ledger.account_events) AS events
      """)
    guard let row = counts.first else { return }
    let (transfers, entries, events) = try (row.int64("transfers"), row.int64("entries"), row.int64("events"))
    replay.strays.checked = Int(transfers + entries + events) + replay.accounts.count
    if transfers != replay.transferCount {
      let rows = try await snapshot.query(
        """
        SELECT id, batch_no FROM ledger.transfers t
        WHERE NOT EXISTS (SELECT FROM ledger.batches b WHERE b.batch_no = t.batch_no) ORDER BY id LIMIT 100
        """)
      for row in rows {
        try replay.strays.violated("transfers", "\(row.uuid("id"))", "there is no batch \(row.int64("batch_no"))")
      }
    }
    if entries != replay.entryCount {
      let rows = try await snapshot.query(
        """
        SELECT account_no, account_seq, created_at FROM ledger.entries e
        WHERE NOT EXISTS (SELECT FROM ledger.batches b WHERE b.created_at = e.created_at) ORDER BY created_at, account_no LIMIT 100
        """)
      for row in rows {
        let key = try "\(row.int64("account_no"))/\(row.int64("account_seq"))"
        try replay.strays.violated("entries", key, "no batch was booked at its time, \(row.timestamp("created_at"))")
      }
    }
    if events != replay.eventCount {
      let rows = try await snapshot.query(
        """
        SELECT event_id, batch_no FROM ledger.account_events e
        WHERE NOT EXISTS (SELECT FROM ledger.batches b WHERE b.batch_no = e.batch_no) ORDER BY event_id LIMIT 100
        """)
      for row in rows {
        try replay.strays.violated("account_events", "\(row.uuid("event_id"))", "there is no batch \(row.int64("batch_no"))")
      }
    }
    for account in replay.accounts.values.sorted(by: { $0.row.number < $1.row.number }) where !account.isOpened {
      replay.strays.violated("accounts", account.row.id, "no event opened it")
    }
  }

  // MARK: What is derived

  private func resolutions() async throws -> InvariantTally {
    var tally = InvariantTally(
      "ledger.resolutions", "a transfer is reversed at most once, a hold is released at most once, and ledger.resolutions says by what")
    let rows = try await snapshot.query(
      """
      SELECT coalesce(r.linked_id, t.linked_id) AS linked_id, r.by_id, t.id
      FROM ledger.resolutions r
      FULL JOIN (SELECT linked_id, id FROM ledger.transfers WHERE outcome = 'posted' AND linked_id IS NOT NULL) t
        ON t.linked_id = r.linked_id AND t.id = r.by_id
      WHERE r.linked_id IS NULL OR t.id IS NULL ORDER BY t.id IS NOT NULL, 1 LIMIT 100
      """)
    for row in rows {
      let linked = try row.uuid("linked_id")
      if let id = try row.uuidOrNil("id") {
        tally.violated("transfers", "\(id)", "it ended \(linked), and ledger.resolutions does not say so")
      } else {
        tally.violated("resolutions", "\(linked)", "no posted reversal or release is behind it")
      }
    }
    let count = try await snapshot.query("SELECT count(*) AS n FROM ledger.resolutions")
    tally.checked = Int(try count.first?.int64("n") ?? 0)
    return tally
  }

  private func view(_ replay: LedgerReplay) async throws -> InvariantTally {
    var tally = InvariantTally(
      "ledger.view", "SUM(credits - debits) over the view ledger_entries is the balance of every account, and zero over every currency")
    let rows = try await snapshot.query(
      """
      SELECT account_id, SUM(CASE WHEN direction = 'CREDIT' THEN amount ELSE -amount END)::bigint AS balance
      FROM ledger.ledger_entries GROUP BY account_id
      """)
    var sums: [String: Int64] = [:]
    for row in rows { sums[try row.textOrNil("account_id") ?? "?", default: 0] = try row.int64("balance") }
    var currencies: [String: Int64] = [:]
    for account in replay.accounts.values.sorted(by: { $0.row.number < $1.row.number }) {
      tally.checked += 1
      let sum = sums.removeValue(forKey: account.row.id) ?? 0
      currencies[account.row.currency, default: 0] &+= sum
      if sum != account.balance {
        tally.violated("ledger_entries", account.row.id, "the view sums to \(sum), the replayed entries to \(account.balance)")
      }
    }
    for (account, _) in sums.sorted(by: { $0.key < $1.key }) { tally.violated("ledger_entries", account, "there is no such account") }
    for (currency, sum) in currencies.sorted(by: { $0.key < $1.key }) where sum != 0 {
      tally.violated("ledger_entries", currency, "all balances of the currency sum to \(sum), not to zero")
    }
    return tally
  }

  private func balances(_ replay: LedgerReplay) async throws -> InvariantTally {
    var tally = InvariantTally(
      "ledger.balances",
      "what is answered as the balance of an account (newest checkpoint and tail) is the sum of its entries from the first")
    let numbers = replay.accounts.keys.sorted()
    var start = 0
    while start < numbers.count {
      let page = Array(numbers[start..<min(start + 1000, numbers.count)])
      start += page.count
      let rows = try await snapshot.query(
        """
        SELECT a.account_no, b.posted, b.held, b.entry_count, b.status::text AS status
        FROM ledger.accounts a CROSS JOIN LATERAL ledger.balance_at(a.account_id, NULL) b WHERE a.account_no = ANY ($1)
        """, [.int64Array(page)])
      for row in rows {
        guard let account = replay.accounts[try row.int64("account_no")] else { continue }
        tally.checked += 1
        let answer = try (row.int64("posted"), row.int64("held"), row.int64("entry_count"))
        if answer != (account.balance, account.held, account.sequence) {
          tally.violated(
            "accounts", account.row.id,
            "it is answered as \(answer.0) with \(answer.1) held after \(answer.2) entries; "
              + "the entries say \(account.balance), \(account.held), \(account.sequence)")
        } else if try row.text("status") != account.status.rawValue {
          tally.violated(
            "accounts", account.row.id, "its status is answered as \(try row.text("status")), its events say \(account.status.rawValue)")
        }
      }
    }
    return tally
  }

  // MARK: Rights

  private func privileges() async throws -> InvariantTally {
    var tally = InvariantTally(
      "ledger.append_only", "the ledger's role may not change or remove a row, and triggers refuse it to everybody, in every partition")
    let rows = try await snapshot.query(
      """
      SELECT c.oid::regclass::text AS table_name,
        has_table_privilege('ledger_service', c.oid, 'UPDATE') OR has_table_privilege('ledger_service', c.oid, 'DELETE')
          OR has_table_privilege('ledger_service', c.oid, 'TRUNCATE') AS changeable,
        c.relispartition AND has_table_privilege('ledger_service', c.oid, 'INSERT') AS bypassable,
        EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only' AND t.tgenabled = 'A') AS guarded
      FROM pg_class c
      LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
      WHERE coalesce(i.inhparent, c.oid) = ANY (ARRAY['ledger.writer_epochs', 'ledger.batches', 'ledger.accounts',
        'ledger.account_events', 'ledger.transfers', 'ledger.resolutions', 'ledger.entries']::regclass[])
      ORDER BY 1
      """)
    for row in rows {
      tally.checked += 1
      let table = try row.text("table_name")
      if try row.bool("changeable") { tally.violated("pg_class", table, "role ledger_service may UPDATE, DELETE or TRUNCATE it") }
      if try row.bool("bypassable") { tally.violated("pg_class", table, "role ledger_service may INSERT into the partition directly") }
      if try !row.bool("guarded") { tally.violated("pg_trigger", table, "its trigger append_only is missing or not ENABLE ALWAYS") }
    }
    return tally
  }
}
