import FlorinAPI
import MeshProtocol
import Money
import Outbox
import Postgres
import PostgresTestKit
import Testing

@testable import PaymentService

/// As a client would: again, as long as the database cannot be reached.
private func patiently<R: Sendable>(_ body: () async throws -> R) async throws -> R {
  for _ in 0..<50 {
    do { return try await body() } catch let error as PostgresError where error.isUnavailable {} catch let error as RPCError
      where error.code == .unavailable || error.code == .aborted
    {}
  }
  return try await body()
}

@Suite("PostgreSQL killed")
struct DatabaseKillTests {
  @Test("kill -9 of the postmaster in the middle of 100 payments: after its restart each ends once, none by hand")
  func postmaster() async throws {
    let cluster = try await TestCluster.separate()
    let database = try await cluster.database("payment", migrations: CommonMigrations.all + PaymentMigrations.all)
    try await database.withPool { pool in
      let mesh = ScriptedMesh(beforeAnswer: { _ in try? await Task.sleep(for: .milliseconds(Int.random(in: 5...60))) })
      mesh.fund("ALICE", 1_000_000)
      let process = PaymentProcess(pool, mesh)
      let keys = (0..<100).map { _ in newKey() }
      let payers = Task {
        await withTaskGroup(of: Void.self) { group in
          for key in keys { group.addTask { _ = try? await process.create(order(100), key: key, within: .seconds(10)) } }
        }
      }
      // In the middle: some have got as far as the payee, and most have not ended.
      while mesh.count(.creditPayee) < 20 { try await Task.sleep(for: .milliseconds(2)) }
      let inFlight = mesh.count(.screenPayer) - mesh.count(.releaseHold)
      #expect(inFlight >= 20)
      try await cluster.administer { try $0.kill() }
      try await cluster.administer { try $0.startAfterKill() }
      await payers.value
      try await patiently { try await process.recoverAll() }
      for key in keys {
        // Claims that did not make it before the kill are made now; the others are answered as they ended.
        let reply = try await patiently { try await process.create(order(100), key: key) }
        #expect(reply.payment.state == .completed)
      }
      let completed = try await process.list(.completed, limit: 1_000)
      #expect(completed.count == 100)
      #expect(mesh.balance("BOB") == 10_000)
      try await expectSettled(pool, mesh, funded: 1_000_000)
    }
  }
}
