import FlorinAPI
import Money
import Postgres
import Testing

@testable import PaymentService

@Suite("What happened to this payment?")
struct TraceTests {
  @Test("the trace tells everything in time order, each line with its row")
  func trace() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh(refusals: [.sendConfirmation: "recipient_suppressed"]) { contact, number in
        contact.action == .creditPayee && contact.verb == .call && number == 1 ? .replyLost : .delivered
      }
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh)
      let key = newKey()
      let payment = try await process.create(order(100), key: key).payment
      _ = try await process.create(order(100), key: key)
      let trace = try await process.trace(payment.paymentID)
      #expect(trace.payment == payment)
      #expect(payment.state == .compensated)
      let lines = trace.lines
      #expect(lines.map(\.atUnixMicroseconds) == lines.map(\.atUnixMicroseconds).sorted())
      #expect(lines.allSatisfy { $0.service == "payment" && !$0.table.isEmpty && !$0.row.isEmpty && !$0.summary.isEmpty })
      #expect(Set(lines.map { $0.table + "/" + $0.row + "/" + $0.event }).count == lines.count)
      let events = lines.map(\.event)
      for event in [
        "payment.accepted", "saga.started", "saga.intent", "saga.result", "saga.inquired", "saga.compensation_intent",
        "saga.compensation_result", "saga.compensated", "payment.compensated", "payment.replayed",
      ] { #expect(events.contains(event), "\(event)") }
      #expect(events.count { $0 == "saga.compensation_result" } == 2)
      #expect(lines.contains { $0.event == "saga.result" && $0.summary.contains("credit_payee") && $0.summary.contains("ambiguous") })
    }
  }
}
