import FlorinAPI
import MeshProtocol
import Money
import Testing

@testable import AccountService

@Suite struct ScreeningTests {
  private func request(
    _ payer: String, step: UUID128 = .random(), payment: UUID128 = .random(), minorUnits: Int64 = 100_00, currency: String = "GBP"
  ) -> AccountAPI.ScreenPayerRequest {
    AccountAPI.ScreenPayerRequest(
      stepID: step.description, paymentID: payment.description, payerAccountID: payer,
      amount: .init(minorUnits: minorUnits, currency: currency))
  }

  private struct Bad: Sendable {
    var request: AccountAPI.ScreenPayerRequest
    var reason: String

    init(_ request: AccountAPI.ScreenPayerRequest, reason: String) {
      self.request = request
      self.reason = reason
    }
  }

  private func changed(
    _ request: AccountAPI.ScreenPayerRequest, _ change: (inout AccountAPI.ScreenPayerRequest) -> Void
  ) -> AccountAPI.ScreenPayerRequest {
    var request = request
    change(&request)
    return request
  }

  @Test("an open account of the payment's currency may pay")
  func accepted() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      let (step, payment) = (UUID128.random(), UUID128.random())
      let answer = try await world.accounts(as: "payment").screenPayer(request(id, step: step, payment: payment))
      #expect(answer == .init(state: .done, reason: ""))
      #expect(try await world.accounts().getStep(.init(stepID: step.description)) == .init(state: .done))
      #expect(try await world.auditActions(of: "payment/\(payment)") == ["account.payer_accepted"])
      #expect(try await world.outboxTypes(of: payment.description) == ["account.payer_accepted"])
    }
  }

  @Test("unknown, frozen and closed payers and payers of another currency are declined, each with its reason")
  func declined() async throws {
    try await AccountWorld.with { (world) async throws in
      let frozen = try await world.open(reference: "f").message.accountID
      let closed = try await world.open(reference: "c").message.accountID
      let open = try await world.open(reference: "o").message.accountID
      _ = try await world.change(.freeze, frozen)
      _ = try await world.change(.close, closed)
      for (payer, currency, reason) in [
        ("ACC000000000000", "GBP", "account_unknown"), (frozen, "GBP", "account_frozen"), (closed, "GBP", "account_closed"),
        (open, "EUR", "currency_mismatch"),
      ] {
        let step = UUID128.random()
        let answer = try await world.accounts(as: "payment").screenPayer(request(payer, step: step, currency: currency))
        #expect(answer == .init(state: .declined, reason: reason))
        #expect(try await world.accounts().getStep(.init(stepID: step.description)) == .init(state: .declined, reason: reason))
      }
    }
  }

  @Test("an account that the ledger has not opened yet cannot pay")
  func opening() async throws {
    try await AccountWorld.with { (world) async throws in
      world.ledger.health = .down
      _ = await refusal { _ = try await world.open() }
      let id = try #require(try await world.accounts().list(.init()).accounts.first?.accountID)
      #expect(try await world.accounts().screenPayer(request(id)) == .init(state: .declined, reason: "account_unknown"))
    }
  }

  @Test("the answer to a step never changes, whatever becomes of the account")
  func sticky() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      let accepted = request(id)
      #expect(try await world.accounts().screenPayer(accepted).state == .done)
      _ = try await world.change(.freeze, id)
      let declined = request(id)
      #expect(try await world.accounts().screenPayer(declined).reason == "account_frozen")
      _ = try await world.change(.unfreeze, id)
      for _ in 0..<3 {
        #expect(try await world.accounts().screenPayer(accepted).state == .done)
        #expect(try await world.accounts().screenPayer(declined) == .init(state: .declined, reason: "account_frozen"))
      }
      #expect(try await world.count("SELECT count(*) FROM account.steps") == 2)
    }
  }

  @Test("the same step id with other fields is refused, and the first answer stands")
  func reused() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      let first = request(id)
      _ = try await world.accounts().screenPayer(first)
      let others = [changed(first) { $0.amount?.minorUnits += 1 }, changed(first) { $0.paymentID = UUID128.random().description }]
      for other in others {
        let error = await refusal { _ = try await world.accounts().screenPayer(other) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.trailers["reason"] == "step_id_reused")
      }
      #expect(try await world.accounts().screenPayer(first).state == .done)
    }
  }

  @Test("a tombstone forbids a step that has not come, and answers what became of one that has")
  func tombstone() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      let late = request(id)
      let forbid = AccountAPI.TombstoneRequest(stepID: late.stepID, paymentID: late.paymentID)
      for _ in 0..<2 { #expect(try await world.accounts().tombstone(forbid).state == .tombstone) }
      #expect(try await world.accounts().screenPayer(late).state == .tombstone)
      #expect(try await world.accounts().getStep(.init(stepID: late.stepID)).state == .tombstone)

      let early = request(id)
      _ = try await world.accounts().screenPayer(early)
      #expect(try await world.accounts().tombstone(.init(stepID: early.stepID, paymentID: early.paymentID)).state == .done)
      let foreign = await refusal {
        _ = try await world.accounts().tombstone(.init(stepID: early.stepID, paymentID: UUID128.random().description))
      }
      #expect(foreign?.trailers["reason"] == "step_id_reused")
      #expect(try await world.auditActions(of: "payment/\(late.paymentID)") == ["account.step_forbidden"])
    }
  }

  @Test("of a step and its tombstone at the same time exactly one counts, and everybody is told which")
  func race() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      for _ in 0..<30 {
        let step = request(id)
        let states = try await withThrowingTaskGroup(of: TypeAPI.StepState.self) { group in
          for task in 0..<4 {
            group.addTask { () async throws in
              if task % 2 == 0 { return try await world.accounts().screenPayer(step).state }
              return try await world.accounts().tombstone(.init(stepID: step.stepID, paymentID: step.paymentID)).state
            }
          }
          return try await group.reduce(into: Set<TypeAPI.StepState>()) { $0.insert($1) }
        }
        #expect(states == [.done] || states == [.tombstone])
      }
      #expect(try await world.count("SELECT count(*) FROM account.steps") == 30)
      #expect(try await world.count("SELECT count(*) FROM outbox WHERE type IN ('account.payer_accepted', 'account.step_forbidden')") == 30)
    }
  }

  @Test("nothing is known of a step that nobody asked for")
  func unknownStep() async throws {
    try await AccountWorld.with { (world) async throws in
      #expect(try await world.accounts().getStep(.init(stepID: UUID128.random().description)).state == .unknown)
    }
  }

  @Test("malformed screenings are refused and leave no trace")
  func badInput() async throws {
    try await AccountWorld.with { (world) async throws in
      let good = request("ACC000000000000")
      let bad: [Bad] = [
        Bad(changed(good) { $0.stepID = "1" }, reason: "step_id_invalid"),
        Bad(changed(good) { $0.paymentID = "" }, reason: "payment_id_invalid"),
        Bad(changed(good) { $0.payerAccountID = "a b" }, reason: "payer_account_id_invalid"),
        Bad(changed(good) { $0.amount = nil }, reason: "currency_unknown"),
        Bad(changed(good) { $0.amount?.currency = "gbp" }, reason: "currency_unknown"),
        Bad(changed(good) { $0.amount?.minorUnits = 0 }, reason: "amount_not_positive"),
        Bad(changed(good) { $0.amount?.minorUnits = -1 }, reason: "amount_not_positive"),
        Bad(changed(good) { $0.amount?.minorUnits = .min }, reason: "amount_not_positive"),
      ]
      for one in bad {
        let error = await refusal { _ = try await world.accounts().screenPayer(one.request) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.trailers["reason"] == one.reason)
      }
      #expect(try await world.count("SELECT count(*) FROM account.steps") == 0)
    }
  }

  @Test("the trace of a payment names each row")
  func trace() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      let (step, payment) = (UUID128.random(), UUID128.random())
      _ = try await world.accounts(as: "payment").screenPayer(request(id, step: step, payment: payment))
      _ = try await world.accounts(as: "payment").tombstone(.init(stepID: UUID128.random().description, paymentID: payment.description))
      let lines = try await world.accounts().trace(.init(paymentID: payment.description)).lines
      #expect(lines.map(\.event) == ["account.payer_accepted", "account.step_forbidden"])
      #expect(lines.first?.service == "account")
      #expect(lines.first?.table == "account.steps")
      #expect(lines.first?.row == step.description)
      #expect(lines.first?.summary == "\(id) may pay 100.00 GBP")
      #expect(lines.first?.fields.contains(.init(name: "caller", value: "payment")) == true)
      #expect(try await world.accounts().trace(.init(paymentID: UUID128.random().description)).lines.isEmpty)
    }
  }
}
