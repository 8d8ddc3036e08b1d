internal import LedgerRules
internal import Money
internal import Postgres

/// Reads what the sequencer keeps in memory, and what it has to look up. Everything comes from the ledger's rows.
enum LedgerLoader {
  static func head(_ executor: some SQLExecutor) async throws -> LedgerState.Head {
    let rows = try await executor.query("SELECT batch_no, hash, created_at FROM ledger.batches ORDER BY batch_no DESC LIMIT 1")
    guard let row = rows.first else { throw SequencerError.noGenesis }
    return try LedgerState.Head(number: row.int64("batch_no"), hash: row.bytes("hash"), createdAt: row.timestamp("created_at"))
  }

  /// The state on top of `head`, or nil if the ledger has moved on since.
  static func state(
    _ connection: PostgresConnection, on head: LedgerState.Head, epoch: Int64, now: Timestamp, limits: LedgerState.Limits
  ) async throws -> LedgerState? {
    try await connection.transaction(isolation: .repeatableRead, readOnly: true, retries: 0) { snapshot in
      guard try await Self.head(snapshot) == head else { return nil }
      let recent = try await recentFacts(snapshot, now: now, limit: limits.recentTransfers * 3 / 4)
      var state = LedgerState(head: head, epoch: epoch, recentFrom: recent.from, limits: limits)
      for account in try await accounts(snapshot) { try state.restore(account) }
      for (id, fact) in recent.facts { state.restore(id, fact) }
      return state
    }
  }

  /// Every account, its balance and holds from its newest checkpoint and what came after.
  private static func accounts(_ executor: some SQLExecutor) async throws -> [LedgerAccount] {
    let rows = try await executor.query(
      """
      SELECT a.account_no, a.account_id, a.currency, a.policy::text AS policy, coalesce(event.status::text, 'open') AS status,
        (coalesce(c.balance, 0) + coalesce(tail.balance, 0))::bigint AS balance,
        (coalesce(c.held, 0) + coalesce(holding.held, 0))::bigint AS held,
        coalesce(tail.account_seq, c.account_seq, 0) AS account_seq, tail.entries + holding.rows AS movements
      FROM ledger.accounts a
      LEFT JOIN LATERAL (SELECT * FROM derived.checkpoints k
        WHERE k.account_no = a.account_no ORDER BY k.as_of DESC LIMIT 1) c ON true
      CROSS JOIN LATERAL (
        SELECT count(*) AS entries, max(e.account_seq) AS account_seq,
          sum(CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END) AS balance
        FROM ledger.entries e WHERE e.account_no = a.account_no AND e.created_at > coalesce(c.as_of, '-infinity')) tail
      CROSS JOIN LATERAL (
        SELECT count(*) AS rows, sum(CASE h.kind WHEN 'hold' THEN h.amount ELSE -h.amount END) AS held
        FROM ledger.transfers h
        WHERE h.debit_account_no = a.account_no AND h.outcome = 'posted' AND h.kind IN ('hold', 'release')
          AND h.created_at > coalesce(c.as_of, '-infinity')) holding
      LEFT JOIN LATERAL (SELECT s.status FROM ledger.account_events s
        WHERE s.account_no = a.account_no AND s.outcome = 'posted' ORDER BY s.created_at DESC, s.position DESC LIMIT 1) event ON true
      ORDER BY a.account_no
      """)
    return try rows.map { row in
      let name = try row.text("account_id")
      guard let id = AccountID(name), let currency = Currency(code: try row.text("currency")),
        let policy = BalancePolicy(rawValue: try row.text("policy")), let status = AccountStatus(rawValue: try row.text("status"))
      else { throw SequencerError.damagedRow("ledger.accounts", name) }
      return try LedgerAccount(
        number: row.int64("account_no"), id: id, currency: currency, policy: policy, status: status, balance: row.int64("balance"),
        held: row.int64("held"), sequence: row.int64("account_seq"), movementsSinceCheckpoint: row.int64("movements"))
    }
  }

  private static func recentFacts(
    _ executor: some SQLExecutor, now: Timestamp, limit: Int
  ) async throws -> (from: Timestamp, facts: [(UUID128, TransferFact)]) {
    // Ten minutes: what a caller is likely to send again.
    let from = now.adding(seconds: -600)
    let first = UUID128(high: UInt64(max(0, from.milliseconds)) << 16, low: 0)
    let rows = try await executor.query(
      """
      SELECT t.id, t.kind::text AS kind, t.outcome::text AS outcome, t.reason, t.fingerprint, t.created_at, t.batch_no,
        t.debit_account_no, t.credit_account_no, t.amount, r.by_id
      FROM ledger.transfers t LEFT JOIN ledger.resolutions r ON r.linked_id = t.id
      WHERE t.id >= $1 ORDER BY t.id DESC LIMIT $2
      """, [.uuid(first), .int64(Int64(limit))])
    let facts = try rows.map(fact)
    guard rows.count == limit, let oldest = facts.last?.0 else { return (from, facts) }
    // Not all of them: the window starts after the oldest one's millisecond.
    return (Timestamp(microseconds: (oldest.timestampMilliseconds + 1) * 1000), facts)
  }

  static func briefing(_ executor: some SQLExecutor, on unknowns: Unknowns) async throws -> Briefing {
    var briefing = Briefing()
    if !unknowns.transfers.isEmpty {
      let rows = try await executor.query(
        """
        SELECT t.id, t.kind::text AS kind, t.outcome::text AS outcome, t.reason, t.fingerprint, t.created_at, t.batch_no,
          t.debit_account_no, t.credit_account_no, t.amount, r.by_id
        FROM unnest($1) AS wanted (id)
        JOIN ledger.transfers t ON t.id = wanted.id
        LEFT JOIN ledger.resolutions r ON r.linked_id = wanted.id
        """, [.uuidArray(unknowns.transfers.sorted())])
      for (id, fact) in try rows.map(fact) { briefing.transfers[id] = fact }
    }
    if !unknowns.events.isEmpty {
      let rows = try await executor.query(
        """
        SELECT event_id, outcome::text AS outcome, reason, fingerprint, created_at, batch_no
        FROM ledger.account_events WHERE event_id = ANY ($1)
        """, [.uuidArray(unknowns.events.sorted())])
      for row in rows {
        let id = try row.uuid("event_id")
        let (outcome, reason, fingerprint) = try decision(row, id)
        briefing.events[id] = try AccountEventFact(
          outcome: outcome, reason: reason, fingerprint: fingerprint, bookedAt: row.timestamp("created_at"),
          batchNumber: row.int64("batch_no"))
      }
    }
    return briefing
  }

  private static func fact(_ row: SQLRow) throws -> (UUID128, TransferFact) {
    let id = try row.uuid("id")
    let (outcome, reason, fingerprint) = try decision(row, id)
    guard let kind = PostingKind(rawValue: try row.text("kind")) else { throw SequencerError.damagedRow("ledger.transfers", "\(id)") }
    let fact = try TransferFact(
      kind: kind, outcome: outcome, reason: reason, fingerprint: fingerprint, bookedAt: row.timestamp("created_at"),
      batchNumber: row.int64("batch_no"), debit: row.int64OrNil("debit_account_no"), credit: row.int64OrNil("credit_account_no"),
      amount: row.int64OrNil("amount"), resolvedBy: row.uuidOrNil("by_id"))
    return (id, fact)
  }

  private static func decision(_ row: SQLRow, _ id: UUID128) throws -> (PostingOutcome, DeclineReason?, Fingerprint) {
    let reason = try row.textOrNil("reason")
    guard let outcome = PostingOutcome(rawValue: try row.text("outcome")),
      let fingerprint = Fingerprint(bytes: try row.bytes("fingerprint")), reason == nil || DeclineReason(rawValue: reason ?? "") != nil
    else { throw SequencerError.damagedRow("ledger.transfers or ledger.account_events", "\(id)") }
    return (outcome, reason.flatMap(DeclineReason.init), fingerprint)
  }
}
