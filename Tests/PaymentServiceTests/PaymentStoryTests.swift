import FlorinAPI
import MeshProtocol
import Money
import Postgres
import Testing

@testable import PaymentService

@Suite("A payment's saga")
struct PaymentStoryTests {
  @Test("with willing participants it completes, and leaves one row per event")
  func completes() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh)
      let (payment, _, trailers) = try await process.create(order(10_000), key: newKey())
      #expect(payment.state == .completed && payment.reason.isEmpty)
      #expect(trailers == [:])
      #expect(mesh.balance("ALICE") == 0 && mesh.balance("BOB") == 10_000 && mesh.available("BOB") == 10_000)
      #expect(mesh.notifications == [.confirmation])
      let id = try #require(PaymentID(payment.paymentID))
      #expect(
        try await story(of: id, pool) == [
          "started", "intent screen_payer", "result screen_payer done", "intent debit_payer", "result debit_payer done",
          "intent credit_payee", "result credit_payee done", "intent send_confirmation", "result send_confirmation done",
          "intent release_hold", "result release_hold done", "completed",
        ])
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  /// Step, the reason it is given, the state the payment ends in, and the compensations that run.
  static let refusals: [(PaymentAction, String, PaymentAPI.PaymentState, [PaymentAction])] = [
    (.screenPayer, "account_frozen", .declined, []),
    (.debitPayer, "insufficient_funds", .declined, []),
    (.creditPayee, "account_frozen", .compensated, [.creditPayer]),
    (.sendConfirmation, "recipient_suppressed", .compensated, [.debitPayee, .creditPayer]),
    (.releaseHold, "hold_unknown", .compensated, [.sendReversal, .debitPayee, .creditPayer]),
  ]

  @Test("each step refused in turn: what was done before it is undone, and the payer has his money", arguments: refusals)
  func refused(step: PaymentAction, reason: String, state: PaymentAPI.PaymentState, undo: [PaymentAction]) async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: [step: reason])
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh)
      let (payment, _, trailers) = try await process.create(order(2_500), key: newKey())
      #expect(payment.state == state && payment.reason == reason)
      // A refusal of the business is an answer, and final.
      #expect(trailers == [:])
      #expect(mesh.balance("ALICE") == 10_000 && mesh.balance("BOB") == 0)
      let called = mesh.state.withLock { $0.contacts.map(\.action) }
      #expect(Array(called.suffix(undo.count)) == undo)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  @Test(
    "each compensation refused in turn stops for a person, with the money where everybody can see it",
    arguments: [
      (PaymentAction.sendReversal, 0), (.debitPayee, 1), (.creditPayer, 2),
    ])
  func compensationRefused(action: PaymentAction, done: Int) async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: [.releaseHold: "hold_unknown", action: "not_reversible"])
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh)
      let key = newKey()
      let (payment, _, trailers) = try await process.create(order(2_500), key: key)
      #expect(payment.state == .manual && payment.reason == "compensation_refused")
      #expect(trailers["provisional"] == "true")
      #expect(payment.finishedAtUnixMicroseconds == 0)
      #expect(mesh.balance("ALICE") == 7_500)
      // Held at the payee's, or in clearing: never nowhere, never free.
      #expect(mesh.available("BOB") == 0)
      #expect(mesh.balance("BOB") + mesh.balance("clearing:GBP") == 2_500)
      // Not final: nothing is stored for the key, and the answer to it says what is known now.
      let again = try await process.create(order(2_500), key: key)
      #expect(again.payment.state == .manual && again.trailers["provisional"] == "true")
      try await expectSettled(pool, mesh, funded: 10_000, manual: 1)
      #expect(try await process.list(.manual) == [payment.paymentID])
    }
  }

  @Test(
    "a request that a participant finds fault with stops for a person",
    arguments: [PaymentAction.screenPayer, .creditPayee, .creditPayer])
  func bug(action: PaymentAction) async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: action == .creditPayer ? [.creditPayee: "account_closed"] : [:]) { contact, _ in
        contact.action == action ? .fails(.invalidArgument) : .delivered
      }
      mesh.fund("ALICE", 10_000)
      let payment = try await PaymentProcess(pool, mesh).pay()
      #expect(payment.state == .manual && payment.reason == "bug")
    }
  }

  static let doubtful: [(PaymentAction, ScriptedMesh.Fate)] = PaymentAction.allCases.flatMap { action in
    [ScriptedMesh.Fate.requestLost, .replyLost, .refused, .fails(.internal), .fails(.permissionDenied)].map { (action, $0) }
  }

  @Test("in doubt at each step and compensation, the first two calls lost one way or another: done once", arguments: doubtful)
  func inDoubt(action: PaymentAction, fate: ScriptedMesh.Fate) async throws {
    try await withPaymentDatabase { pool, _ in
      let backwards = [PaymentAction.sendReversal, .debitPayee, .creditPayer].contains(action)
      let mesh = ScriptedMesh(refusals: backwards ? [.releaseHold: "hold_unknown"] : [:]) { contact, number in
        contact.action == action && contact.verb == .call && number <= 2 ? fate : .delivered
      }
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh)
      async let paid = process.pay(2_500)
      let payment = try await settle(process, try await paid)
      #expect(payment.state == (backwards ? .compensated : .completed))
      #expect(mesh.balance("ALICE") == (backwards ? 10_000 : 7_500))
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  /// Some pauses let go of the saga, and there is no scanner here.
  private func settle(_ process: PaymentProcess, _ payment: PaymentAPI.Payment) async throws -> PaymentAPI.Payment {
    try await process.recoverAll(expiringLeases: false)
    return try await process.find(payment.paymentID)
  }

  @Test(
    "a participant that is away for hundreds of attempts delays a payment, and the log stays short",
    arguments: [
      PaymentAction.screenPayer, .debitPayer, .creditPayer,
    ])
  func longAbsence(action: PaymentAction) async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: action == .creditPayer ? [.creditPayee: "account_closed"] : [:]) { contact, number in
        contact.action == action && number <= 200 ? .refused : .delivered
      }
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh)
      let payment = try await process.pay()
      #expect(payment.state == (action == .creditPayer ? .compensated : .completed))
      #expect(mesh.count(action) == 201)
      let id = try #require(PaymentID(payment.paymentID))
      let rows = try await history(of: id, pool)
      #expect(rows.count < 50)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  @Test("a confirmation that never reaches the notification service is given up, and everything before it undone")
  func confirmationNeverArrives() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh { contact, _ in contact.action == .sendConfirmation ? .refused : .delivered }
      mesh.fund("ALICE", 10_000)
      let payment = try await PaymentProcess(pool, mesh).pay()
      #expect(payment.state == .compensated && payment.reason == "retry_bound_passed")
      #expect(mesh.count(.sendConfirmation) == PaymentSaga.confirmationAttempts)
      #expect(mesh.count(.sendConfirmation, .forbid) == 0)
      #expect(mesh.balance("ALICE") == 10_000)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }

  @Test(
    "a confirmation of which nobody knows is forbidden before anything is undone; one that had arrived is taken back",
    arguments: [
      ScriptedMesh.Fate.requestLost, .replyLost,
    ])
  func confirmationInDoubt(fate: ScriptedMesh.Fate) async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh { contact, number in
        guard contact.action == .sendConfirmation else { return .delivered }
        return contact.verb == .forbid ? (number <= 3 ? .replyLost : .delivered) : (contact.verb == .call ? fate : .refused)
      }
      mesh.fund("ALICE", 10_000)
      let payment = try await PaymentProcess(pool, mesh).pay()
      #expect(payment.state == .compensated && payment.reason == "retry_bound_passed")
      #expect(mesh.count(.sendConfirmation, .forbid) == 4)
      #expect(mesh.notifications.count { $0 == .reversal } == (fate == .replyLost ? 1 : 0))
      #expect(mesh.balance("ALICE") == 10_000)
      try await expectSettled(pool, mesh, funded: 10_000)
    }
  }
}

extension PaymentProcess {
  func find(_ id: String) async throws -> PaymentAPI.Payment {
    let context = CallContext(peer: Self.caller, method: PaymentAPI.PaymentsMethods.get.path)
    guard case .message(let payment) = try await handlers.get(PaymentAPI.GetPaymentRequest(paymentID: id), context: context).body else {
      throw Crashed()
    }
    return payment
  }

  /// Ids, newest first.
  func list(_ state: PaymentAPI.PaymentState, limit: UInt32 = 0, before: Int64 = 0) async throws -> [String] {
    let context = CallContext(peer: Self.caller, method: PaymentAPI.PaymentsMethods.list.path)
    let request = PaymentAPI.ListPaymentsRequest(limit: limit, state: state, beforeUnixMicroseconds: before)
    guard case .message(let found) = try await handlers.list(request, context: context).body else { throw Crashed() }
    return found.payments.map(\.paymentID)
  }

  func trace(_ id: String) async throws -> PaymentAPI.TraceResponse {
    let context = CallContext(peer: Self.caller, method: PaymentAPI.PaymentsMethods.trace.path)
    guard case .message(let found) = try await handlers.trace(PaymentAPI.TraceRequest(paymentID: id), context: context).body else {
      throw Crashed()
    }
    return found
  }
}
