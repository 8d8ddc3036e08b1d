import FlorinAPI
import Money
import Postgres
import PostgresTestKit
import SagaEngine
import Testing

@testable import PaymentService

@Suite("Recovery")
struct RecoveryTests {
  /// Sagas of every course: forward, and back from each step.
  static let courses: [[PaymentAction: String]] = [
    [:], [.screenPayer: "account_frozen"], [.debitPayer: "insufficient_funds"], [.creditPayee: "account_frozen"],
    [.sendConfirmation: "recipient_suppressed"], [.releaseHold: "hold_unknown"],
  ]

  @Test("a crash at every boundary of every course: another process finishes the payment as it would have ended", arguments: courses)
  func crashAtEveryBoundary(refusals: [PaymentAction: String]) async throws {
    // The undisturbed run says which boundaries there are.
    let boundaries = Shared<[SagaFailpoint]>([])
    let expected = try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: refusals)
      mesh.fund("ALICE", 10_000)
      return try await PaymentProcess(pool, mesh) { point in boundaries.change { $0.append(point) } }.pay(2_500)
    }
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: refusals)
      mesh.fund("ALICE", 1_000_000)
      for boundary in boundaries.value {
        let doomed = PaymentProcess(pool, mesh) { point in if point == boundary { throw PaymentProcess.Crashed() } }
        let key = newKey()
        _ = try? await doomed.create(order(2_500), key: key, within: .milliseconds(100))
        await doomed.supervisor.waitUntilIdle()
        let heir = PaymentProcess(pool, mesh)
        try await heir.recoverAll()
        let reply = try await heir.create(order(2_500), key: key)
        #expect(reply.payment.state == expected.state && reply.payment.reason == expected.reason, "\(boundary)")
        #expect(reply.trailers["idempotent-replayed"] == "true", "\(boundary)")
      }
      let completed = expected.state == .completed ? boundaries.value.count : 0
      #expect(mesh.balance("BOB") == Int64(completed) * 2_500)
      try await expectSettled(pool, mesh, funded: 1_000_000)
    }
  }

  @Test("a crash between the claim and the first call leaves an accepted payment, which another process finishes")
  func crashAfterClaim() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      // A supervisor without room: the claim is committed, and nobody runs the saga.
      let doomed = PaymentProcess(pool, mesh, tasks: 0)
      let (payment, _, trailers) = try await doomed.create(order(2_500), key: newKey(), within: .milliseconds(300))
      #expect(payment.state == .accepted && trailers["provisional"] == "true")
      #expect(mesh.count(.screenPayer) == 0)
      let heir = PaymentProcess(pool, mesh)
      try await heir.recoverAll()
      #expect(try await heir.find(payment.paymentID).state == .completed)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  @Test("an orchestrator whose lease was taken while it slept changes nothing when it wakes", arguments: PaymentAction.allCases)
  func leaseStolen(asleepIn action: PaymentAction) async throws {
    try await withPaymentDatabase { pool, _ in
      let backwards = [PaymentAction.sendReversal, .debitPayee, .creditPayer].contains(action)
      let (asleep, fellAsleep) = AsyncStream<Void>.makeStream()
      let (wakeUp, alarm) = AsyncStream<Void>.makeStream()
      let isFirst = Shared(true)
      let mesh = ScriptedMesh(
        refusals: backwards ? [.releaseHold: "hold_unknown"] : [:],
        beforeAnswer: { contact in
          guard contact.action == action, contact.verb == .call,
            isFirst.change({ first in
              defer { first = false }
              return first
            })
          else { return }
          fellAsleep.finish()
          for await _ in wakeUp {}
        })
      mesh.fund("ALICE", 10_000)
      let sleeper = PaymentProcess(pool, mesh)
      let key = newKey()
      async let abandoned = sleeper.create(order(2_500), key: key, within: .seconds(20))
      for await _ in asleep {}
      let thief = PaymentProcess(pool, mesh)
      try await thief.recoverAll()
      let before = try await snapshot(pool)
      alarm.finish()
      await sleeper.supervisor.waitUntilIdle()
      #expect(try await snapshot(pool) == before)
      // Its caller gets the end that the thief brought about.
      let reply = try await abandoned
      #expect(reply.payment.state == (backwards ? .compensated : .completed))
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  private func snapshot(_ pool: PostgresPool) async throws -> [String] {
    try await pool.query(
      """
      SELECT saga_id || ' ' || seq || ' ' || kind || ' ' || epoch AS line FROM payment.saga_log
      UNION ALL SELECT payment_id || ' ' || state || ' ' || reason || ' ' || finished_at FROM payment.payment_outcomes
      UNION ALL SELECT payment_id || ' ' || encode(response, 'hex') || ' ' || expires_at FROM payment.idempotency_keys
      ORDER BY line
      """
    ).map { try $0.text("line") }
  }

  @Test("of many scanners at once, each due saga is taken by one")
  func scannersShare() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 100_000)
      let doomed = PaymentProcess(pool, mesh, tasks: 0)
      for _ in 0..<40 { _ = try await doomed.pay(within: .milliseconds(40)) }
      try await pool.query("UPDATE payment.saga_leases SET lease_until = clock_timestamp()")
      let heirs = (0..<4).map { _ in PaymentProcess(pool, mesh) }
      let taken = try await withThrowingTaskGroup(of: Int.self) { group in
        for heir in heirs { group.addTask { try await heir.orchestrator.recover(limit: 100) } }
        return try await group.reduce(0, +)
      }
      #expect(taken == 40)
      for heir in heirs { await heir.supervisor.waitUntilIdle() }
      #expect(mesh.balance("BOB") == 4_000)
      // Nobody found that somebody else had asked before: each step was called once.
      #expect(PaymentAction.allCases.map { mesh.count($0) }.max() == 40)
      try await expectSettled(pool, mesh, funded: 100_000)
    }
  }

  @Test("a saga of an unknown version is put aside, and the others go on; a build that knows it takes it up again")
  func quarantine() async throws {
    try await withPaymentDatabase { pool, database in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      let doomed = PaymentProcess(pool, mesh, tasks: 0)
      let strange = try await doomed.pay(within: .milliseconds(40))
      let plain = try await doomed.pay(within: .milliseconds(40))
      let id = try #require(UUID128(strange.paymentID))
      try await tamper(database, "UPDATE payment.saga_log SET version = 99 WHERE saga_id = $1 AND kind = 'started'", [.uuid(id)])
      let heir = PaymentProcess(pool, mesh)
      try await heir.recoverAll()
      #expect(try await heir.find(plain.paymentID).state == .completed)
      let found = try await heir.find(strange.paymentID)
      #expect(found.state == .manual && found.reason == "quarantined")
      #expect(try await heir.list(.manual) == [strange.paymentID])
      try await tamper(database, "UPDATE payment.saga_log SET version = 1 WHERE saga_id = $1 AND kind = 'started'", [.uuid(id)])
      try await pool.query("UPDATE payment.saga_leases SET next_attempt_at = clock_timestamp()")
      try await heir.orchestrator.recover()
      await heir.supervisor.waitUntilIdle()
      #expect(try await heir.find(strange.paymentID).state == .completed)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  @Test("the scanner finds what is due by itself, and ends with the process")
  func scanner() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      let payment = try await PaymentProcess(pool, mesh, tasks: 0).pay(within: .milliseconds(40))
      try await pool.query("UPDATE payment.saga_leases SET lease_until = clock_timestamp()")
      let heir = PaymentProcess(pool, mesh)
      let scanner = RecoveryScanner(heir.orchestrator, every: .milliseconds(5))
      #expect(scanner.problem != nil)
      let ticket = heir.orchestrator.runner.board.ticket(for: PaymentID(try #require(UUID128(payment.paymentID))))
      let running = Task { try await scanner.run() }
      #expect(await ticket.wait(until: .now + .seconds(20))?.state == .completed)
      running.cancel()
      try await running.value
      #expect(scanner.problem == nil)
      await heir.supervisor.waitUntilIdle()
    }
  }

  @Test("PostgreSQL sessions killed under a running load: every payment ends, none twice, none by hand")
  func sessionsKilled() async throws {
    try await withPaymentDatabase { pool, database in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 1_000_000)
      let process = PaymentProcess(pool, mesh)
      let isOver = Shared(false)
      let killer = try await database.connect(as: .superuser)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for _ in 0..<100 where !isOver.value {
            try await killer.query(
              """
              SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND usename = 'payment_service' ORDER BY random() LIMIT 2
              """)
            try await Task.sleep(for: .milliseconds(25))
          }
        }
        group.addTask {
          await withTaskGroup(of: Void.self) { payers in
            for _ in 0..<60 {
              let key = newKey()
              payers.addTask {
                // As a client would: the same key until there is a final answer.
                for _ in 0..<200 {
                  let reply = try? await process.create(order(100), key: key, within: .seconds(2))
                  if let reply, reply.payment.state != .accepted { return }
                  _ = try? await process.orchestrator.recover()
                }
              }
            }
          }
          isOver.change { $0 = true }
        }
        try await group.waitForAll()
      }
      await killer.close()
      try await process.recoverAll()
      let completed = try await process.list(.completed, limit: 1_000)
      #expect(completed.count == 60)
      #expect(mesh.balance("BOB") == 6_000)
      try await expectSettled(pool, mesh, funded: 1_000_000)
    }
  }
}

/// Changes what nobody may change: as the superuser, with the triggers asleep.
func tamper(_ database: TestDatabase, _ sql: StaticString, _ parameters: [SQLValue]) async throws {
  let connection = try await database.connect(as: .superuser)
  try await connection.query("SET session_replication_role = replica")
  try await connection.query(sql, parameters)
  await connection.close()
}
