import FlorinAPI
import Logging
import Money
import Postgres
import Telemetry
import Testing
import Tracing

@testable import PaymentService

@Suite("What a payment leaves in logs and traces")
struct TelemetryTests {
  private struct Line: Sendable {
    var event: String
    var metadata: Logger.Metadata
  }

  private struct Capture: LogHandler {
    let lines: Shared<[Line]>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let line = Line(event: event.message.description, metadata: event.metadata ?? [:])
      lines.change { $0.append(line) }
    }
  }

  @Test("a payment's end is one line with payment, payer, amount and reason")
  func logs() async throws {
    try await withPaymentDatabase { pool, _ in
      let lines = Shared<[Line]>([])
      let logger = Logger(label: "payment") { _ in Capture(lines: lines) }
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      let process = PaymentProcess(pool, mesh, logger: logger)
      let key = newKey()
      let done = try await process.create(order(10_000), key: key).payment
      _ = try await process.create(order(10_000), key: key)
      let failed = try await process.pay(1)
      let told = lines.value.filter { $0.event.hasPrefix("payment.") }
      #expect(told.map(\.event) == ["payment.accepted", "payment.completed", "payment.replayed", "payment.accepted", "payment.failed"])
      for (line, payment) in zip(told, [done, done, done, failed, failed]) {
        #expect(line.metadata["payment_id"]?.description == payment.paymentID)
        #expect(line.metadata["user_id"]?.description == "ALICE")
        guard case .stringConvertible(let amount) = line.metadata["amount"] else {
          Issue.record("no amount in \(line)")
          continue
        }
        #expect((amount as? Amount)?.minorUnits == payment.amount?.minorUnits)
      }
      #expect(told.last?.metadata["reason"]?.description == "insufficient_funds")
    }
  }

  @Test("recovery goes on in the trace that the payment began in")
  func trace() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 10_000)
      let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      let doomed = PaymentProcess(pool, mesh) { point in if point == .answered(.debitPayer) { throw PaymentProcess.Crashed() } }
      let payment = try await ServiceContext.$current.withValue(.continuing(traceparent: traceparent)) {
        try await doomed.pay(within: .milliseconds(200))
      }
      await doomed.supervisor.waitUntilIdle()
      try await PaymentProcess(pool, mesh).recoverAll()
      let id = SQLValue.uuid(try #require(UUID128(payment.paymentID)))
      let traces = try await pool.query("SELECT trace_id, epoch FROM payment.saga_log WHERE saga_id = $1 ORDER BY seq", [id])
      #expect(try traces.map { try $0.text("trace_id") }.allSatisfy { $0 == "4bf92f3577b34da6a3ce929d0e0e4736" })
      #expect(try Set(traces.map { try $0.int64("epoch") }) == [1, 2])
      let stored = try await pool.query("SELECT traceparent FROM payment.payments WHERE payment_id = $1", [id]).first?.text("traceparent")
      #expect(stored == traceparent)
    }
  }
}
