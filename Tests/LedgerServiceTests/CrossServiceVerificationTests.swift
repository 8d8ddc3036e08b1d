import AccountService
import FlorinAPI
import LedgerService
import MeshProtocol
import Migrations
import Money
import NotificationService
import Outbox
import PaymentService
import PostgresTestKit
import ServiceRuntime
import Testing
import Verify

/// Four databases with the services' own tables, filled by hand: what a verification says of payments that are as they should be,
/// and of payments that are not.
@Suite struct CrossServiceVerificationTests {
  private struct Stage {
    let ledger: LedgerFixture
    let account: TestDatabase
    let payment: TestDatabase
    let notification: TestDatabase

    static func run(_ body: @Sendable @escaping (Stage) async throws -> Void) async throws {
      let cluster = try await TestCluster.shared()
      let account = try await cluster.database("account", migrations: CommonMigrations.all + AccountService.definition.migrations)
      let payment = try await cluster.database("payment", migrations: CommonMigrations.all + PaymentService.definition.migrations)
      let notification = try await cluster.database(
        "notification", migrations: CommonMigrations.all + NotificationService.definition.migrations)
      try await LedgerFixture.run { ledger in
        let stage = Stage(ledger: ledger, account: account, payment: payment, notification: notification)
        for name in ["A", "B"] { try await stage.open(name) }
        try await ledger.fund("A", 100_000)
        try await body(stage)
      }
    }

    func sql(_ database: TestDatabase, _ script: String) async throws {
      let name = database.name
      _ = try await database.cluster.administer { try $0.psql(script, database: name) }
    }

    func open(_ name: String) async throws {
      try await ledger.open(name)
      try await sql(
        account,
        """
        WITH e AS (SELECT gen_random_uuid() AS id), a AS (
          INSERT INTO account.accounts VALUES ('\(name)', 'ref-\(name)', 'GBP', now(), 'operator/admin', gen_random_uuid(), sha256('x')))
        INSERT INTO account.account_events SELECT '\(name)', 1, id, 'open', '', 'operator/admin', now() FROM e;
        INSERT INTO account.account_event_results
          SELECT event_id, 'posted', '', now(), 1, now() FROM account.account_events WHERE account_id = '\(name)';
        """)
    }

    /// A payment's rows in its own service. `state` as in payment_outcomes, or "running".
    func payment(_ id: UUID128, _ state: String, amount: Int64 = 100, ageSeconds: Int = 1) async throws {
      try await sql(
        payment,
        """
        INSERT INTO payment.payments VALUES ('\(id)', 'operator/admin', 'florin.payment.v1.Payments/Create', gen_random_uuid(), 'A', 'B',
          \(amount), 'GBP', now() - interval '\(ageSeconds) seconds');
        """)
      if state == "running" || state == "manual" {
        try await sql(
          payment,
          """
          INSERT INTO payment.saga_leases (saga_id, claimed_at, owner, epoch, lease_until, next_attempt_at, last_seq, state, summary)
            SELECT payment_id, claimed_at, gen_random_uuid(), 1, now(), now(), 1, '\(state)', 'x' FROM payment.payments
            WHERE payment_id = '\(id)';
          """)
      } else if state != "lost" {
        try await sql(
          payment,
          """
          INSERT INTO payment.payment_outcomes SELECT payment_id, claimed_at, '\(state)', \(state == "COMPLETED" ? "''" : "'why'"), now()
            FROM payment.payments WHERE payment_id = '\(id)';
          """)
      }
    }

    func notified(_ payment: UUID128, _ step: UUID128, reverses: UUID128? = nil) async throws {
      try await sql(
        notification,
        """
        INSERT INTO notification.steps (step_id, payment_id, state, reason, kind, fingerprint, payer_account_id, payee_account_id,
          amount, currency, reverses_step_id, requested_by, decided_at)
        VALUES ('\(step)', '\(payment)', 'done', '', '\(reverses == nil ? "confirmation" : "reversal")', sha256('x'), 'A', 'B', 100, 'GBP',
          \(reverses.map { "'\($0)'" } ?? "NULL"), 'payment', now());
        """)
    }

    func debit(_ payment: UUID128) -> LedgerAPI.Posting { Make.transfer("A", "clearing:GBP", 100, reference: payment) }
    func credit(_ payment: UUID128) -> LedgerAPI.Posting {
      Make.transfer("clearing:GBP", "B", 100, type: "payment_credit", reference: payment)
    }

    /// The first three steps in the ledger and the notification service.
    func completed(_ payment: UUID128) async throws {
      try await ledger.post(debit(payment))
      let hold = Make.hold("B", 100, reference: payment)
      try await ledger.post([credit(payment), hold], linked: true)
      try await notified(payment, .random())
      try await ledger.post(Make.release(of: hold.id, reference: payment))
      try await self.payment(payment, "COMPLETED")
    }

    func verify() async throws -> [String: InvariantResult] {
      let targets = VerificationTargets(
        ledger: ledger.database.configuration(for: .auditor), account: account.configuration(for: .auditor),
        payment: payment.configuration(for: .auditor), notification: notification.configuration(for: .auditor))
      let report = try await Verification(targets, logger: .silent).run()
      #expect(report.passed == report.invariants.allSatisfy { $0.outcome == .passed })
      return Dictionary(uniqueKeysWithValues: report.invariants.map { ($0.name, $0) })
    }

    func failures() async throws -> Set<String> { Set(try await verify().values.filter { $0.outcome != .passed }.map(\.name)) }
  }

  @Test("payments that completed, were declined, were compensated or are under way pass, and clearing holds those under way")
  func sound() async throws {
    try await Stage.run { stage in
      try await stage.completed(.random())
      try await stage.payment(.random(), "DECLINED")
      let compensated = UUID128.random()
      let debit = stage.debit(compensated)
      try await stage.ledger.post(debit)
      let confirmation = UUID128.random()
      try await stage.notified(compensated, confirmation)
      try await stage.notified(compensated, .random(), reverses: confirmation)
      try await stage.ledger.post(Make.reversal(of: debit.id, reference: compensated))
      try await stage.payment(compensated, "COMPENSATED")
      let running = UUID128.random()
      try await stage.ledger.post(stage.debit(running))
      try await stage.payment(running, "running")
      let results = try await stage.verify()
      for result in results.values {
        #expect(result.outcome == .passed, "\(result.name): \(result.note ?? "") \(String(describing: result.firstViolation))")
      }
      #expect(results["payment.clearing"]?.checked == 1)
      #expect(results["payment.compensations"]?.checked == 4)
      #expect(results["account.statuses"]?.checked == 2)
      #expect(results["payment.known"]?.checked == 4)
      #expect(results.count >= 20)
    }
  }

  @Test("each thing that can be wrong with a payment fails the invariant that names it")
  func unsound() async throws {
    try await Stage.run { stage in
      #expect(try await stage.failures() == [])
      let stuck = UUID128.random()
      try await stage.payment(stuck, "running", ageSeconds: 1000)
      #expect(try await stage.failures() == ["payment.terminal"])
      try await stage.payment(.random(), "lost")
      #expect(try await stage.verify()["payment.terminal"]?.violations == 2)

      // Completed, and the money never left clearing; nobody was told.
      let half = UUID128.random()
      try await stage.ledger.post(stage.debit(half))
      try await stage.payment(half, "COMPLETED")
      #expect(
        try await stage.failures() == ["payment.terminal", "payment.clearing", "payment.compensations", "notification.once"])

      // Money moved for a payment that nobody knows.
      let unknown = UUID128.random()
      try await stage.ledger.post([stage.debit(unknown), stage.credit(unknown)])
      let known = try #require(try await stage.verify()["payment.known"])
      #expect(known.violations == 2 && known.firstViolation?.problem.contains("\(unknown)") == true)
    }
  }

  @Test("a compensation that is missing, a hold that stays, a payment that is doubled and a status that differs are found")
  func unsoundCompensations() async throws {
    try await Stage.run { stage in
      let held = UUID128.random()
      let debit = stage.debit(held)
      try await stage.ledger.post(debit)
      try await stage.ledger.post([stage.credit(held), Make.hold("B", 100, reference: held)], linked: true)
      try await stage.ledger.post(Make.reversal(of: debit.id, reference: held))
      try await stage.payment(held, "COMPENSATED")
      var results = try await stage.verify()
      #expect(results["payment.compensations"]?.violations == 2)
      #expect(results["payment.clearing"]?.outcome == .failed)

      let twice = UUID128.random()
      try await stage.completed(twice)
      try await stage.ledger.post([stage.debit(twice), stage.credit(twice)])
      try await stage.notified(twice, .random())
      results = try await stage.verify()
      #expect((results["payment.compensations"]?.violations ?? 0) >= 4)
      #expect(results["notification.once"]?.violations == 1)

      #expect(results["account.statuses"]?.outcome == .passed)
      try await stage.ledger.setStatus("B", .frozen)
      results = try await stage.verify()
      #expect(results["account.statuses"]?.firstViolation?.row == "B")
      try await stage.ledger.open("STRANGER")
      #expect(try await stage.verify()["account.statuses"]?.violations == 2)

      try await stage.sql(
        stage.payment,
        """
        INSERT INTO payment.payments SELECT gen_random_uuid(), caller, method, idempotency_key, 'A', 'B', 100, 'GBP', now()
          FROM payment.payments LIMIT 1
        """)
      #expect(try await stage.verify()["payment.one_key_one_payment"]?.violations == 1)
    }
  }

  @Test("a changed audit row is found in each of the four services")
  func auditChains() async throws {
    try await Stage.run { stage in
      for database in [stage.ledger.database, stage.account, stage.payment, stage.notification] {
        let service = database.service
        try await stage.sql(
          database,
          "SELECT \(service).append_audit('/x', 'test', 'a', 'done', '{}', '', NULL), \(service).append_audit('/x', 'test', 'b', 'done', '{}', '', NULL)"
        )
        #expect(try await stage.verify()["\(service).audit_chain"]?.outcome == .passed)
        try await stage.sql(
          database,
          """
          ALTER TABLE \(service).audit_log DISABLE TRIGGER USER;
          UPDATE \(service).audit_log SET actor = '/y' WHERE subject = 'a';
          """)
        #expect(try await stage.verify()["\(service).audit_chain"]?.outcome == .failed)
      }
    }
  }
}
