import FlorinAPI
import MeshProtocol
import Money
import Postgres
import ServiceRuntime
import Testing

@testable import PaymentService

@Suite("Bad input")
struct BadInputTests {
  static let orders: [(PaymentAPI.CreatePaymentRequest, String)] = [
    (order(0), "amount_not_positive"), (order(-1), "amount_not_positive"), (order(.min), "amount_not_positive"),
    (order(1, currency: "XYZ"), "currency_unknown"), (order(1, currency: "gbp"), "currency_unknown"),
    (order(1, currency: ""), "currency_unknown"),
    (order(1, from: "BOB"), "same_account"), (order(1, from: ""), "account_missing"), (order(1, to: ""), "account_missing"),
    (order(1, from: "al ice"), "account_malformed"), (order(1, to: "-BOB"), "account_malformed"),
    (order(1, to: String(repeating: "A", count: 65)), "account_malformed"), (order(1, to: "B\u{f6}b"), "account_malformed"),
    (order(1, from: "external:funding:GBP"), "account_internal"), (order(1, to: "clearing:GBP"), "account_internal"),
    (PaymentAPI.CreatePaymentRequest(payerAccountID: "ALICE", payeeAccountID: "BOB"), "amount_missing"),
  ]

  @Test("a request that makes no sense is refused with its reason and what to do, and leaves no trace")
  func requests() async throws {
    try await withPaymentDatabase { pool, _ in
      let process = PaymentProcess(pool, ScriptedMesh())
      for (request, reason) in Self.orders {
        let error = await refusal { _ = try await process.create(request, key: newKey()) }
        #expect(error?.code == .invalidArgument && error?.trailers["reason"] == reason, "\(request) \(String(describing: error))")
        #expect((error?.message.count ?? 0) > 30)
      }
      let rows = try await pool.query("SELECT 1 AS one FROM payment.payments UNION ALL SELECT 1 FROM payment.idempotency_keys")
      #expect(rows.isEmpty)
    }
  }

  @Test("without a version 4 key there is no payment")
  func keys() async throws {
    try await withPaymentDatabase { pool, _ in
      let process = PaymentProcess(pool, ScriptedMesh())
      let keys: [(String?, String)] = [
        (nil, "idempotency_key_missing"), ("", "idempotency_key_missing"), ("abc", "idempotency_key_not_uuid_v4"),
        ("5f3b2a10-9c8d-1e7f-8a6b-1c2d3e4f5a6b", "idempotency_key_not_uuid_v4"),
        ("5f3b2a10-9c8d-4e7f-0a6b-1c2d3e4f5a6b", "idempotency_key_not_uuid_v4"),
      ]
      for (key, reason) in keys {
        let error = await refusal { _ = try await process.create(order(), key: key) }
        #expect(error?.code == .invalidArgument && error?.trailers["reason"] == reason)
      }
    }
  }

  @Test("looking for payments that are not there, or not payments")
  func lookups() async throws {
    try await withPaymentDatabase { pool, _ in
      let process = PaymentProcess(pool, ScriptedMesh())
      let lookups: [(RPCCode, @Sendable () async throws -> Void)] = [
        (.invalidArgument, { _ = try await process.find("PAY-1") }), (.notFound, { _ = try await process.find(newKey()) }),
        (.notFound, { _ = try await process.trace(newKey()) }),
        (.invalidArgument, { _ = try await process.list(.unspecified, limit: 1_001) }),
        (.invalidArgument, { _ = try await process.list(.unrecognized(77)) }),
      ]
      for (code, lookup) in lookups {
        let error = await refusal(lookup)
        #expect(error?.code == code)
      }
    }
  }

  @Test("settings that are none are refused with the exit code for configuration")
  func settings() throws {
    for bad in [["saga.concurrency": "0"], ["saga.concurrency": "many"], ["idempotency.hours": "23"], ["idempotency.hours": "49"]] {
      do throws(ServiceFailure) {
        _ = try PaymentSettings(bad)
        Issue.record("\(bad) was taken")
      } catch { #expect(error.code == .configuration) }
    }
    #expect(try PaymentSettings([:]).lifetime.hours == 24)
  }
}
