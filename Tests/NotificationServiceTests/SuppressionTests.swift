import FlorinAPI
import MeshProtocol
import Money
import Postgres
import PostgresTestKit
import Testing

@Suite struct SuppressionTests {
  @Test(
    "a confirmation is declined if payer or payee is suppressed, and accepted again when that ends", arguments: ["ACCPAYER", "ACCPAYEE"])
  func declined(account: String) async throws {
    try await NotificationWorld.with { (world) async throws in
      try await world.suppress(account)
      let declined = world.confirmation()
      for _ in 0..<2 {
        #expect(try await world.client.submit(declined) == .init(state: .declined, reason: "recipient_suppressed"))
      }
      #expect(try await world.client.getStep(.init(stepID: declined.stepID)) == .init(state: .declined, reason: "recipient_suppressed"))
      // Somebody else's confirmation is not touched.
      #expect(try await world.client.submit(world.confirmation(payer: "ACCX", payee: "ACCY")).state == .done)
      try await world.suppress(account, false, reason: "new_address")
      #expect(try await world.client.submit(world.confirmation()).state == .done)
      // The answer to the first step stands.
      #expect(try await world.client.submit(declined).state == .declined)
      #expect(try await world.operatorClient.list(.init(paymentID: declined.paymentID)).notifications.isEmpty)
      #expect(try await world.auditActions(of: "payment/\(declined.paymentID)") == ["notification.confirmation_declined"])
    }
  }

  @Test("a reversal is always accepted, whoever is suppressed")
  func reversal() async throws {
    try await NotificationWorld.with { (world) async throws in
      let confirmation = world.confirmation()
      _ = try await world.client.submit(confirmation)
      try await world.suppress("ACCPAYER")
      try await world.suppress("ACCPAYEE")
      #expect(try await world.client.submit(world.reversal(of: confirmation)).state == .done)
    }
  }

  @Test("suppressions are events: each change is one, repeating is none, and the newest counts")
  func events() async throws {
    try await NotificationWorld.with { (world) async throws in
      try await world.suppress("ACCA", false)
      for _ in 0..<3 { try await world.suppress("ACCA") }
      for _ in 0..<3 { try await world.suppress("ACCA", false) }
      try await world.suppress("ACCA")
      let events = try await world.pool.query(
        "SELECT suppressed FROM notification.suppression_events WHERE account_id = 'ACCA' ORDER BY sequence"
      ).map { try $0.bool("suppressed") }
      #expect(events == [true, false, true])
      let types = ["notification.suppressed", "notification.unsuppressed", "notification.suppressed"]
      #expect(try await world.outboxTypes(of: "ACCA") == types)
      #expect(try await world.auditActions(of: "account/ACCA") == types)
    }
  }

  @Test("the same suppression set by many at the same time is one event")
  func concurrent() async throws {
    try await NotificationWorld.with { (world) async throws in
      for round in 1...5 {
        let account = "ACC\(round)"
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<8 { group.addTask { () async throws in try await world.suppress(account) } }
          try await group.waitForAll()
        }
        #expect(try await world.count("SELECT count(*) FROM notification.suppression_events") == Int64(round))
      }
    }
  }

  @Test("a suppression needs an account and a reason from the catalogue")
  func badInput() async throws {
    try await NotificationWorld.with { (world) async throws in
      await expectRefusal(reason: "account_id_invalid") { try await world.suppress("") }
      for reason in ["", "Moved house", "ada@example.org", String(repeating: "a", count: 65)] {
        await expectRefusal(reason: "reason_invalid") { try await world.suppress("ACCA", reason: reason) }
      }
      #expect(try await world.count("SELECT count(*) FROM notification.suppression_events") == 0)
    }
  }

  @Test("the trace of a payment names each row, and the suppression that declined it")
  func trace() async throws {
    try await NotificationWorld.with { (world) async throws in
      try await world.suppress("ACCPAYEE")
      let payment = UUID128.random()
      let declined = world.confirmation(payment: payment)
      _ = try await world.client.submit(declined)
      _ = try await world.client.submit(world.reversal(of: declined))
      _ = try await world.client.tombstone(.init(stepID: UUID128.random().description, paymentID: payment.description))
      let lines = try await world.operatorClient.trace(.init(paymentID: payment.description)).lines
      #expect(
        lines.map(\.event) == [
          "notification.suppressed", "notification.confirmation_declined", "notification.reversal_accepted", "notification.step_forbidden",
        ])
      #expect(lines.first?.row == "ACCPAYEE/1")
      #expect(lines[1].row == declined.stepID)
      #expect(lines[1].table == "notification.steps")
      #expect(lines[1].summary.contains("ACCPAYEE"))
      #expect(lines.allSatisfy { $0.service == "notification" })
    }
  }

  @Test("steps and suppressions are never updated, deleted or truncated, not by a superuser either")
  func appendOnly() async throws {
    try await NotificationWorld.with { (world) async throws in
      try await world.suppress("ACCA")
      _ = try await world.client.submit(world.confirmation())
      for role in [TestRole.service, .superuser] {
        let connection = try await world.database.connect(as: role)
        if role == .superuser { try await connection.query("SET session_replication_role = replica") }
        let statements: [StaticString] = [
          "UPDATE notification.steps SET amount = 1", "DELETE FROM notification.steps", "TRUNCATE notification.steps",
          "UPDATE notification.suppression_events SET suppressed = false", "DELETE FROM notification.suppression_events",
          "TRUNCATE notification.suppression_events CASCADE",
        ]
        for statement in statements {
          let error = await #expect(throws: PostgresError.self, "\(statement) as \(role)") { try await connection.query(statement) }
          #expect(error?.isInsufficientPrivilege == true, "\(statement) as \(role): \(String(describing: error))")
        }
        await connection.close()
      }
    }
  }

  @Test("without an audit row and an outbox row nothing is accepted")
  func noAuditNoChange() async throws {
    for revoke: StaticString in [
      "REVOKE INSERT ON notification.outbox FROM notification_service",
      "REVOKE EXECUTE ON FUNCTION notification.append_audit(text, text, text, text, json, text, timestamptz) FROM notification_service",
    ] {
      try await NotificationWorld.with { (world) async throws in
        let superuser = try await world.database.connect(as: .superuser)
        try await superuser.query(revoke)
        await superuser.close()
        await expectRefusal(.internal) { _ = try await world.client.submit(world.confirmation()) }
        await expectRefusal(.internal) { try await world.suppress("ACCA") }
        #expect(try await world.count("SELECT count(*) FROM notification.steps") == 0)
        #expect(try await world.count("SELECT count(*) FROM notification.suppression_events") == 0)
      }
    }
  }

  @Test("a database that cannot be reached is UNAVAILABLE")
  func databaseAway() async throws {
    try await NotificationWorld.with { (world) async throws in
      await world.pool.close()
      await expectRefusal(.unavailable) { _ = try await world.client.submit(world.confirmation()) }
    }
  }
}
