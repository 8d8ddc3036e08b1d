import FlorinAPI
import MeshProtocol
import Money
import Postgres
import PostgresTestKit
import Testing

@testable import PaymentService

@Suite("One key, one payment")
struct IdempotentCreateTests {
  @Test("100 identical requests at once, over two processes: one payment, one debit, one reply")
  func concurrent() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 100_000)
      let processes = [PaymentProcess(pool, mesh), PaymentProcess(pool, mesh)]
      let key = newKey()
      let replies = await withTaskGroup(of: Result<(bytes: [UInt8], isReplay: Bool), any Error>.self) { group in
        for number in 0..<100 {
          group.addTask {
            do {
              let reply = try await processes[number % 2].create(order(100), key: key)
              return .success((reply.bytes, reply.trailers["idempotent-replayed"] == "true"))
            } catch { return .failure(error) }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      let answered = replies.compactMap { try? $0.get() }
      for case .failure(let error) in replies { #expect((error as? RPCError)?.code == .aborted, "\(error)") }
      #expect(answered.count { !$0.isReplay } == 1)
      #expect(Set(answered.map(\.bytes)).count == 1)
      #expect(mesh.balance("BOB") == 100)
      #expect(mesh.count(.debitPayer) == 1)
      let stored = try await processes[0].list(.unspecified)
      #expect(stored.count == 1)
      for process in processes { await process.supervisor.waitUntilIdle() }
      try await expectSettled(pool, mesh, funded: 100_000)
    }
  }

  @Test("a replay sends the stored bytes, says so, and leaves an audit row; a declined payment is replayed too")
  func replay() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 100)
      let process = PaymentProcess(pool, mesh)
      for units: Int64 in [60, 60] {
        let key = newKey()
        let first = try await process.create(order(units), key: key)
        #expect(first.trailers["idempotent-replayed"] == nil)
        for _ in 0..<3 {
          let again = try await process.create(order(units), key: key)
          #expect(again.bytes == first.bytes)
          #expect(again.trailers["idempotent-replayed"] == "true")
        }
        #expect(first.payment.state == (mesh.count(.debitPayer) == 1 ? .completed : .declined))
        let lines = try await process.trace(first.payment.paymentID).lines
        #expect(lines.count { $0.event == "payment.replayed" } == 3)
      }
      #expect(mesh.balance("BOB") == 60)
    }
  }

  @Test("the same key with another amount, payee or currency is refused, and the first payment stands")
  func otherBody() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh)
      let key = newKey()
      let first = try await process.create(order(100), key: key)
      for other in [order(101), order(100, to: "CAROL"), order(100, currency: "EUR")] {
        let error = await refusal { _ = try await process.create(other, key: key) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.trailers["reason"] == "idempotency_key_reused")
        #expect(error?.trailers["payment-id"] == first.payment.paymentID)
      }
      #expect(mesh.balance("BOB") == 100)
    }
  }

  @Test("the same key of another caller is another payment; two equal payments under two keys are two")
  func scopes() async throws {
    try await withPaymentDatabase { pool, _ in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh)
      let key = newKey()
      let mine = try await process.create(order(100), key: key)
      let theirs = try await process.create(order(100), key: key, by: SPIFFEID(trustDomain: "florin.local", path: "operator/bob"))
      let twin = try await process.create(order(100), key: newKey())
      #expect(Set([mine.payment.paymentID, theirs.payment.paymentID, twin.payment.paymentID]).count == 3)
      #expect(mesh.balance("BOB") == 300)
    }
  }

  @Test("once a key has expired it stands for nothing new: key_expired, before and after it is swept", arguments: [false, true])
  func expired(swept: Bool) async throws {
    try await withPaymentDatabase { pool, database in
      let mesh = ScriptedMesh()
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh)
      let key = newKey()
      let first = try await process.create(order(100), key: key)
      let early = try await PaymentStore(pool: pool).sweepExpiredKeys()
      #expect(early == 0)
      try await tamper(
        database,
        """
        UPDATE payment.idempotency_keys SET finished_at = finished_at - interval '25 hours', expires_at = expires_at - interval '25 hours'
        WHERE payment_id = $1
        """, [.uuid(try #require(UUID128(first.payment.paymentID)))])
      let gone = swept ? try await PaymentStore(pool: pool).sweepExpiredKeys() : 1
      #expect(gone == 1)
      let error = await refusal { _ = try await process.create(order(100), key: key) }
      #expect(error?.trailers["reason"] == "key_expired")
      #expect(error?.trailers["payment-id"] == first.payment.paymentID)
      #expect(mesh.balance("BOB") == 100)
      #expect(try await process.find(first.payment.paymentID).state == .completed)
    }
  }

  @Test("a caller who can't wait gets 'accepted', and the end under the same key; another who comes meanwhile is told to come back")
  func provisional() async throws {
    try await withPaymentDatabase { pool, _ in
      let (gate, opener) = AsyncStream<Void>.makeStream()
      let mesh = ScriptedMesh(beforeAnswer: { contact in if contact.action == .creditPayee { for await _ in gate {} } })
      mesh.fund("ALICE", 1_000)
      var patience = PaymentCreator.Patience()
      patience.forAnotherCall = .milliseconds(100)
      let process = PaymentProcess(pool, mesh, patience: patience)
      let key = newKey()
      let first = try await process.create(order(100), key: key, within: .milliseconds(300))
      #expect(first.payment.state == .accepted && first.trailers["provisional"] == "true")
      let error = await refusal { _ = try await process.create(order(100), key: key) }
      #expect(error?.code == .aborted && error?.retryAfter == .milliseconds(500))
      #expect(error?.trailers["retry-after-ms"] == "500")
      #expect(error?.trailers["payment-id"] == first.payment.paymentID)
      #expect(try await process.list(.accepted) == [first.payment.paymentID])
      opener.finish()
      await process.supervisor.waitUntilIdle()
      let end = try await process.create(order(100), key: key)
      #expect(end.payment.state == .completed && end.payment.paymentID == first.payment.paymentID)
      #expect(end.trailers["idempotent-replayed"] == "true" && end.trailers["provisional"] == nil)
    }
  }

  @Test("a caller that hangs up only stops waiting")
  func hangsUp() async throws {
    try await withPaymentDatabase { pool, _ in
      let (reached, signal) = AsyncStream<Void>.makeStream()
      let (gate, opener) = AsyncStream<Void>.makeStream()
      let mesh = ScriptedMesh(beforeAnswer: { contact in
        guard contact.action == .debitPayer else { return }
        signal.finish()
        for await _ in gate {}
      })
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh)
      let caller = Task { try await process.pay() }
      for await _ in reached {}
      caller.cancel()
      await #expect(throws: CancellationError.self) { _ = try await caller.value }
      opener.finish()
      await process.supervisor.waitUntilIdle()
      let completed = try await process.list(.completed)
      #expect(completed.count == 1)
      #expect(mesh.balance("BOB") == 100)
      #expect(process.orchestrator.running.count == 0 && process.orchestrator.runner.board.waiting == 0)
    }
  }

  @Test("more payments than there is room for are refused before anything is stored")
  func full() async throws {
    try await withPaymentDatabase { pool, _ in
      let (gate, opener) = AsyncStream<Void>.makeStream()
      let mesh = ScriptedMesh(beforeAnswer: { contact in if contact.action == .screenPayer { for await _ in gate {} } })
      mesh.fund("ALICE", 1_000)
      let process = PaymentProcess(pool, mesh, limit: 1)
      _ = try await process.pay(within: .milliseconds(100))
      let error = await refusal { _ = try await process.pay() }
      #expect(error?.code == .resourceExhausted && error?.retryAfter != nil)
      opener.finish()
      await process.supervisor.waitUntilIdle()
      let stored = try await process.list(.unspecified)
      #expect(stored.count == 1)
    }
  }

  @Test("a process whose clock is wrong stores nothing", arguments: [-3_600, 3_600, 31_536_000])
  func clockSkewed(seconds: Int64) async throws {
    struct Skewed: WallClock {
      let seconds: Int64
      var now: Timestamp { SystemWallClock().now.adding(seconds: seconds) }
    }
    try await withPaymentDatabase { pool, _ in
      let process = PaymentProcess(pool, ScriptedMesh(), clock: Skewed(seconds: seconds))
      let error = await refusal { _ = try await process.pay() }
      #expect(error?.code == .unavailable && error?.trailers["reason"] == "clock_skewed")
      let stored = try await process.list(.unspecified)
      #expect(stored.isEmpty)
    }
  }
}

/// The status that a call was refused with.
func refusal(_ body: () async throws -> Void) async -> RPCError? {
  do {
    try await body()
    return nil
  } catch { return error as? RPCError }
}
