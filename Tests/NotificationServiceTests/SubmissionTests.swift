import FlorinAPI
import MeshProtocol
import Money
import Testing

@Suite struct SubmissionTests {
  @Test("a confirmation and its reversal are accepted once each, kept and listed")
  func accepted() async throws {
    try await NotificationWorld.with { (world) async throws in
      let payment = UUID128.random()
      let confirmation = world.confirmation(payment: payment)
      let reversal = world.reversal(of: confirmation)
      for _ in 0..<3 { #expect(try await world.client.submit(confirmation) == .init(state: .done)) }
      for _ in 0..<3 { #expect(try await world.client.submit(reversal) == .init(state: .done)) }
      let listed = try await world.operatorClient.list(.init(paymentID: payment.description)).notifications
      #expect(listed.map(\.stepID) == [reversal.stepID, confirmation.stepID])
      #expect(listed.map(\.kind) == [.reversal, .confirmation])
      #expect(listed.first?.reversesStepID == confirmation.stepID)
      #expect(listed.last?.amount == .init(minorUnits: 100_00, currency: "GBP"))
      #expect(listed.last?.payerAccountID == "ACCPAYER")
      #expect(listed.last?.payeeAccountID == "ACCPAYEE")
      let types = ["notification.confirmation_accepted", "notification.reversal_accepted"]
      #expect(try await world.outboxTypes(of: payment.description) == types)
      #expect(try await world.auditActions(of: "payment/\(payment)") == types)
    }
  }

  @Test("twenty submissions of one step at the same time are one notification")
  func concurrent() async throws {
    try await NotificationWorld.with { (world) async throws in
      for round in 1...5 {
        let confirmation = world.confirmation()
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<20 { group.addTask { () async throws in #expect(try await world.client.submit(confirmation).state == .done) } }
          try await group.waitForAll()
        }
        #expect(try await world.count("SELECT count(*) FROM notification.notifications") == Int64(round))
        #expect(try await world.count("SELECT count(*) FROM outbox") == Int64(round))
      }
    }
  }

  @Test("the same step id with other fields is refused, and the first answer stands")
  func reused() async throws {
    try await NotificationWorld.with { (world) async throws in
      let first = world.confirmation()
      _ = try await world.client.submit(first)
      var changed = first
      changed.payeeAccountID = "ACCOTHER"
      let other = changed
      let error = await refusal { _ = try await world.client.submit(other) }
      #expect(error?.code == .failedPrecondition)
      #expect(error?.trailers["reason"] == "step_id_reused")
      #expect(try await world.client.submit(first).state == .done)
    }
  }

  @Test("a tombstone forbids a step that has not come, and answers what became of one that has")
  func tombstone() async throws {
    try await NotificationWorld.with { (world) async throws in
      let late = world.confirmation()
      for _ in 0..<2 {
        #expect(try await world.client.tombstone(.init(stepID: late.stepID, paymentID: late.paymentID)).state == .tombstone)
      }
      #expect(try await world.client.submit(late).state == .tombstone)
      #expect(try await world.client.getStep(.init(stepID: late.stepID)).state == .tombstone)
      let early = world.confirmation()
      _ = try await world.client.submit(early)
      #expect(try await world.client.tombstone(.init(stepID: early.stepID, paymentID: early.paymentID)).state == .done)
      let foreign = await refusal {
        _ = try await world.client.tombstone(.init(stepID: early.stepID, paymentID: UUID128.random().description))
      }
      #expect(foreign?.trailers["reason"] == "step_id_reused")
      #expect(try await world.operatorClient.list(.init()).notifications.map(\.stepID) == [early.stepID])
      #expect(try await world.auditActions(of: "payment/\(late.paymentID)") == ["notification.step_forbidden"])
    }
  }

  @Test("of a step and its tombstone at the same time exactly one counts, and everybody is told which")
  func race() async throws {
    try await NotificationWorld.with { (world) async throws in
      for _ in 0..<30 {
        let step = world.confirmation()
        let states = try await withThrowingTaskGroup(of: TypeAPI.StepState.self) { group in
          for task in 0..<4 {
            group.addTask { () async throws in
              if task % 2 == 0 { return try await world.client.submit(step).state }
              return try await world.client.tombstone(.init(stepID: step.stepID, paymentID: step.paymentID)).state
            }
          }
          return try await group.reduce(into: Set<TypeAPI.StepState>()) { $0.insert($1) }
        }
        #expect(states == [.done] || states == [.tombstone])
      }
      #expect(try await world.count("SELECT count(*) FROM notification.steps") == 30)
    }
  }

  @Test("nothing is known of a step that nobody asked for")
  func unknownStep() async throws {
    try await NotificationWorld.with { (world) async throws in
      #expect(try await world.client.getStep(.init(stepID: UUID128.random().description)).state == .unknown)
    }
  }

  private struct Bad: Sendable {
    var request: NotificationAPI.SubmitRequest
    var reason: String

    init(_ request: NotificationAPI.SubmitRequest, reason: String) {
      self.request = request
      self.reason = reason
    }
  }

  private func changed(
    _ request: NotificationAPI.SubmitRequest, _ change: (inout NotificationAPI.SubmitRequest) -> Void
  ) -> NotificationAPI.SubmitRequest {
    var request = request
    change(&request)
    return request
  }

  @Test("malformed submissions are refused and leave no trace")
  func badInput() async throws {
    try await NotificationWorld.with { (world) async throws in
      let good = world.confirmation()
      let bad: [Bad] = [
        Bad(changed(good) { $0.stepID = "" }, reason: "step_id_invalid"),
        Bad(changed(good) { $0.kind = .unspecified }, reason: "kind_invalid"),
        Bad(changed(good) { $0.kind = .unrecognized(9) }, reason: "kind_invalid"),
        Bad(changed(good) { $0.paymentID = "PAY-456" }, reason: "payment_id_invalid"),
        Bad(changed(good) { $0.payerAccountID = "" }, reason: "payer_account_id_invalid"),
        Bad(changed(good) { $0.payeeAccountID = "Ada Lovelace" }, reason: "payee_account_id_invalid"),
        Bad(changed(good) { $0.amount = nil }, reason: "currency_unknown"),
        Bad(changed(good) { $0.amount?.currency = "Pounds" }, reason: "currency_unknown"),
        Bad(changed(good) { $0.amount?.minorUnits = 0 }, reason: "amount_not_positive"),
        Bad(changed(good) { $0.amount?.minorUnits = -5 }, reason: "amount_not_positive"),
        Bad(changed(good) { $0.kind = .reversal }, reason: "reverses_step_id_invalid"),
        Bad(changed(good) { $0.reversesStepID = UUID128.random().description }, reason: "reverses_step_id_invalid"),
      ]
      for one in bad {
        let error = await refusal { _ = try await world.client.submit(one.request) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.trailers["reason"] == one.reason)
      }
      #expect(try await world.count("SELECT count(*) FROM notification.steps") == 0)
      await expectRefusal(reason: "limit_too_large") { _ = try await world.client.list(.init(limit: 1001)) }
      await expectRefusal(reason: "payment_id_invalid") { _ = try await world.client.list(.init(paymentID: "x")) }
    }
  }

  @Test("the list holds the newest, as many as were asked for")
  func list() async throws {
    try await NotificationWorld.with { (world) async throws in
      var sent: [String] = []
      for _ in 0..<7 {
        let confirmation = world.confirmation()
        _ = try await world.client.submit(confirmation)
        sent.insert(confirmation.stepID, at: 0)
      }
      #expect(try await world.operatorClient.list(.init()).notifications.map(\.stepID) == sent)
      #expect(try await world.operatorClient.list(.init(limit: 3)).notifications.map(\.stepID) == Array(sent.prefix(3)))
    }
  }
}
