internal import Money
internal import Postgres

/// The invariants of payments, each payment against its rows in the ledger and its notifications.
struct PaymentChecks {
  private static let pageSize: Int64 = 1000

  var keys = InvariantTally("payment.one_key_one_payment", "one idempotency key of one caller and method has at most one payment")
  var terminal = InvariantTally("payment.terminal", "every payment is finished, waits for a person, or is young and has a runner")
  var clearing = InvariantTally(
    "payment.clearing", "clearing holds exactly the payments between debit and credit, and nothing when none is under way")
  var compensations = InvariantTally(
    "payment.compensations", "what a payment did in the ledger is what its end says: all steps, or each executed step undone once")
  var known = InvariantTally("payment.known", "every posting of a payment in the ledger belongs to a payment")
  var notifications = InvariantTally(
    "notification.once", "a completed payment has one confirmation, a compensated one a reversal event for each confirmation")

  var tallies: [InvariantTally] { [keys, terminal, clearing, compensations, known, notifications] }

  mutating func skip(_ why: String) {
    keys.skip(why)
    terminal.skip(why)
    clearing.skip(why)
    compensations.skip(why)
    known.skip(why)
    notifications.skip(why)
  }

  mutating func run(
    payment: PostgresConnection, ledger: PostgresConnection, notification: PostgresConnection?, unfinishedLimit: Int64
  ) async throws {
    try await checkKeys(payment)
    try await checkClearing(payment, ledger)
    try await checkKnown(payment, ledger)
    var after: (Timestamp, UUID128) = (Timestamp(microseconds: 0), UUID128(high: 0, low: 0))
    while true {
      let rows = try await payment.query(
        """
        SELECT s.payment_id, s.payer_account_id, s.payee_account_id, s.amount, s.currency, s.claimed_at, s.state, s.reason,
          l.saga_id IS NOT NULL AS has_lease, l.state AS lease_state,
          extract(epoch FROM clock_timestamp() - s.claimed_at)::bigint AS age_seconds
        FROM payment.payment_states s LEFT JOIN payment.saga_leases l ON l.saga_id = s.payment_id
        WHERE (s.claimed_at, s.payment_id) > ($1, $2) ORDER BY s.claimed_at, s.payment_id LIMIT $3
        """, [.timestamp(after.0), .uuid(after.1), .int64(Self.pageSize)])
      guard let last = rows.last else { return }
      after = try (last.timestamp("claimed_at"), last.uuid("payment_id"))
      let payments = try rows.map { try PaymentStory($0) }
      let stories = try await told(payments, ledger, notification)
      for story in stories {
        check(story, unfinishedLimit)
        compensations.checked += 1
        for problem in story.ledgerProblems { compensations.violated("transfers", story.row, problem, service: "ledger") }
        guard notification != nil else { continue }
        notifications.checked += 1
        for problem in story.notificationProblems { notifications.violated("steps", story.row, problem) }
      }
    }
  }

  private mutating func check(_ story: PaymentStory, _ unfinishedLimit: Int64) {
    terminal.checked += 1
    guard !story.isFinished else {
      if story.hasLease { terminal.violated("saga_leases", story.row, "it is \(story.state), and still has a runner") }
      return
    }
    if !story.hasLease {
      terminal.violated("payments", story.row, "it has neither an end nor a runner")
    } else if story.leaseState == "quarantined" {
      terminal.violated("saga_leases", story.row, "its saga is quarantined: no running version can read it")
    } else if story.state != "MANUAL", story.ageSeconds > unfinishedLimit {
      terminal.violated("saga_leases", story.row, "it is unfinished after \(story.ageSeconds) s")
    }
    if story.state == "MANUAL" { terminal.note = "at least one payment waits for a person (MANUAL): \(story.row)" }
  }

  /// Adds to each payment its rows in the ledger and its notifications.
  private func told(
    _ payments: [PaymentStory], _ ledger: PostgresConnection, _ notification: PostgresConnection?
  ) async throws -> [PaymentStory] {
    var stories = payments
    let positions = Dictionary(payments.enumerated().map { ($1.id, $0) }) { first, _ in first }
    let ids = SQLValue.uuidArray(payments.map(\.id))
    let transfers = try await ledger.query(
      """
      SELECT t.id, t.kind::text AS kind, t.reference_id, t.type, t.amount, t.currency, d.account_id AS debit, c.account_id AS credit,
        t.linked_id, r.by_id
      FROM ledger.transfers t
      LEFT JOIN ledger.accounts d ON d.account_no = t.debit_account_no
      LEFT JOIN ledger.accounts c ON c.account_no = t.credit_account_no
      LEFT JOIN ledger.resolutions r ON r.linked_id = t.id
      WHERE t.outcome = 'posted' AND t.reference_id = ANY ($1) ORDER BY t.batch_no, t.position
      """, [ids])
    for row in transfers {
      guard let position = positions[try row.uuid("reference_id")] else { continue }
      try stories[position].add(transfer: row)
    }
    guard let notification else { return stories }
    let steps = try await notification.query(
      "SELECT payment_id, kind, step_id, reverses_step_id FROM notification.steps WHERE state = 'done' AND payment_id = ANY ($1)", [ids])
    for row in steps {
      guard let position = positions[try row.uuid("payment_id")] else { continue }
      try stories[position].add(notification: row)
    }
    return stories
  }

  // MARK: Across payments

  private mutating func checkKeys(_ payment: PostgresConnection) async throws {
    let count = try await payment.query("SELECT count(*) AS n FROM payment.payments")
    keys.checked = Int(try count.first?.int64("n") ?? 0)
    let twice = try await payment.query(
      """
      SELECT idempotency_key, caller, method, count(*) AS n FROM payment.payments
      GROUP BY idempotency_key, caller, method HAVING count(*) > 1 ORDER BY 1 LIMIT 100
      """)
    for row in twice {
      try keys.violated("payments", "\(row.uuid("idempotency_key"))", "the key has \(row.int64("n")) payments of \(row.text("caller"))")
    }
    let wrong = try await payment.query(
      """
      SELECT k.key, k.payment_id FROM payment.idempotency_keys k
      LEFT JOIN payment.payments p
        ON p.payment_id = k.payment_id AND p.idempotency_key = k.key AND p.caller = k.caller AND p.method = k.method
      WHERE p.payment_id IS NULL ORDER BY 1 LIMIT 100
      """)
    for row in wrong {
      try keys.violated("idempotency_keys", "\(row.uuid("key"))", "it names payment \(row.uuid("payment_id")), which is not its own")
    }
  }

  /// What is in clearing, payment by payment, against the payments that are under way. What the ledger says is older than what the
  /// payments say; a payment that went on in between is asked for again.
  private mutating func checkClearing(_ payment: PostgresConnection, _ ledger: PostgresConnection) async throws {
    let nets: StaticString = """
      SELECT t.reference_id, a.account_id, sum(CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END)::bigint AS net
      FROM ledger.accounts a
      JOIN ledger.entries e ON e.account_no = a.account_no
      JOIN ledger.transfers t ON t.id = e.transfer_id
      WHERE a.account_id LIKE 'clearing:%' AND ($1::uuid[] IS NULL OR t.reference_id = ANY ($1))
      GROUP BY 1, 2 HAVING sum(CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END) <> 0 ORDER BY 1
      """
    let held = try await ledger.query(nets, [.null])
    clearing.checked = held.count
    let ids = try held.map { try $0.uuid("reference_id") }
    let rows = try await payment.query(
      "SELECT payment_id, amount, state FROM payment.payment_states WHERE payment_id = ANY ($1)", [.uuidArray(ids)])
    var open: [UUID128: Int64] = [:]
    for row in rows where ["ACCEPTED", "MANUAL"].contains(try row.text("state")) {
      open[try row.uuid("payment_id")] = try row.int64("amount")
    }
    var suspects: [UUID128] = []
    for row in held {
      let id = try row.uuid("reference_id")
      guard try open[id] == row.int64("net") else {
        suspects.append(id)
        continue
      }
    }
    guard !suspects.isEmpty else { return }
    for row in try await ledger.query(nets, [.uuidArray(suspects)]) {
      let id = try row.uuid("reference_id")
      let net = try row.int64("net")
      if let amount = open[id], amount == net { continue }
      try clearing.violated(
        "entries", "\(row.text("account_id")) \(id)",
        "\(net) minor units are in clearing for it, and no payment of that id and amount is under way", service: "ledger")
    }
  }

  private mutating func checkKnown(_ payment: PostgresConnection, _ ledger: PostgresConnection) async throws {
    var after = UUID128(high: 0, low: 0)
    while true {
      let rows = try await ledger.query(
        """
        SELECT id, reference_id FROM ledger.transfers
        WHERE id > $1 AND type IN ('payment_debit', 'payment_credit') ORDER BY id LIMIT 5000
        """, [.uuid(after)])
      guard let last = rows.last else { return }
      after = try last.uuid("id")
      known.checked += rows.count
      let references = Set(try rows.map { try $0.uuid("reference_id") }).sorted()
      let found = try await payment.query(
        "SELECT payment_id FROM payment.payments WHERE payment_id = ANY ($1)", [.uuidArray(references)])
      let payments = Set(try found.map { try $0.uuid("payment_id") })
      for row in rows where !payments.contains(try row.uuid("reference_id")) {
        try known.violated("transfers", "\(row.uuid("id"))", "there is no payment \(row.uuid("reference_id"))", service: "ledger")
      }
    }
  }
}
