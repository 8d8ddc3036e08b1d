import Foundation
import Testing

/// What `make demo` shows, as assertions: one mesh of real processes, one payment story after the other.
@Suite("Payments through four real processes", .serialized)
struct PaymentStoryTests {
  @Test("pays, replays, declines, compensates; every balance adds up and every invariant holds")
  func story() async throws {
    try await RunningMesh.with { mesh in
      let payer = try await mesh.openAccount("payer-1")
      let payee = try await mesh.openAccount("payee-1")
      try await mesh.fund(payer, "500.00")
      #expect(try await mesh.balance(payer) == "500.00")

      let key = UUID().uuidString.lowercased()
      let first = try await mesh.pay(payer, payee, "100.00", key: key)
      #expect(first.status == 0, "\(first.standardError)")
      #expect(first.json?["state"]?.string == "completed")
      #expect(first.json?["replayed"]?.bool == false)

      let replay = try await mesh.pay(payer, payee, "100.00", key: key)
      #expect(replay.status == 0, "\(replay.standardError)")
      #expect(replay.json?["replayed"]?.bool == true)
      #expect(replay.json?["payment_id"]?.string == first.json?["payment_id"]?.string)
      #expect(replay.json?["reply_sha256"]?.string != nil)
      #expect(replay.json?["reply_sha256"]?.string == first.json?["reply_sha256"]?.string)
      #expect(try await mesh.balance(payer) == "400.00")
      #expect(try await mesh.balance(payee) == "100.00")

      let otherBody = try await mesh.pay(payer, payee, "99.00", key: key)
      #expect(otherBody.status != 0)
      #expect(otherBody.standardError.contains("FAILED_PRECONDITION"), "\(otherBody.standardError)")

      let tooMuch = try await mesh.pay(payer, payee, "400.01")
      #expect(tooMuch.status == 1)
      #expect(tooMuch.json?["state"]?.string == "declined")
      #expect(tooMuch.json?["reason"]?.string == "insufficient_funds")
      #expect(try await mesh.balance(payer) == "400.00")

      _ = try await mesh.json(["account", "freeze", payee, "--reason", "court_order"])
      let frozen = try await mesh.pay(payer, payee, "50.00")
      #expect(frozen.status == 1)
      #expect(frozen.json?["state"]?.string == "compensated")
      #expect(frozen.json?["reason"]?.string == "account_frozen")
      #expect(try await mesh.balance(payer) == "400.00")
      #expect(try await mesh.balance(payee) == "100.00")
      let frozenID = try #require(frozen.json?["payment_id"]?.string)
      let frozenEvents = try await traceEvents(mesh, frozenID)
      #expect(frozenEvents.contains { $0.hasPrefix("ledger") }, "the debit and its reversal stand in the trace: \(frozenEvents)")
      _ = try await mesh.json(["account", "unfreeze", payee, "--reason", "court_order_lifted"])

      let fromFrozen = try await payFromFrozen(mesh, payer, payee)
      #expect(fromFrozen == "account_frozen")

      _ = try await mesh.json(["notifications", "suppress", payee, "--reason", "returned_mail"])
      let refused = try await mesh.pay(payer, payee, "25.00")
      #expect(refused.status == 1)
      #expect(refused.json?["state"]?.string == "compensated")
      #expect(refused.json?["reason"]?.string == "recipient_suppressed")
      #expect(try await mesh.balance(payer) == "400.00")
      #expect(try await mesh.balance(payee) == "100.00")
      #expect(try await mesh.balance("clearing:GBP") == "0.00")

      let verify = try await mesh.run(["verify", "--json"])
      #expect(verify.status == 0, "\(verify.standardOutput)\(verify.standardError)")

      let metrics = try await mesh.metrics("PAYMENT")
      #expect(metrics.contains("payments_total"))
    }
  }

  private func payFromFrozen(_ mesh: RunningMesh, _ payer: String, _ payee: String) async throws -> String? {
    _ = try await mesh.json(["account", "freeze", payer, "--reason", "suspected_fraud"])
    let run = try await mesh.pay(payer, payee, "1.00")
    #expect(run.json?["state"]?.string == "declined")
    _ = try await mesh.json(["account", "unfreeze", payer, "--reason", "cleared"])
    return run.json?["reason"]?.string
  }

  private func traceEvents(_ mesh: RunningMesh, _ payment: String) async throws -> [String] {
    try await mesh.json(["trace", payment])["lines"]?.array.compactMap { $0["event"]?.string } ?? []
  }
}
