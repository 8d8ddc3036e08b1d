import FlorinAPI
import MeshProtocol
import Money
import Testing

@testable import AccountService

/// What happens between the commit here and the commit in the ledger.
@Suite struct HealingTests {
  @Test("while the ledger is away an opening is recorded, said to be unfinished, and completed later")
  func ledgerAway() async throws {
    try await AccountWorld.with { (world) async throws in
      let key = UUID128.random()
      world.ledger.health = .down
      let error = await refusal { _ = try await world.open(key: key) }
      #expect(error?.code == .unavailable)
      #expect(error?.trailers["reason"] == "change_not_complete")
      let listed = try await world.accounts().list(.init()).accounts
      #expect(listed.map(\.status) == [.unspecified])
      let id = try #require(listed.first?.accountID)
      await expectRefusal(.unavailable) { _ = try await world.change(.freeze, id) }

      // Not due yet, then due while the ledger is still away: it stays in the queue.
      #expect(try await world.reconciler().reconcile() == 0)
      try await world.makeEventsDue()
      #expect(try await world.reconciler().reconcile() == 1)
      #expect(try await world.status(of: id) == .unspecified)

      world.ledger.health = .up
      try await world.makeEventsDue()
      #expect(try await world.reconciler().reconcile() == 1)
      #expect(try await world.status(of: id) == .open)
      let again = try await world.open(key: key)
      #expect(again.message.accountID == id)
      #expect(world.ledger.decisions.count == 1)
    }
  }

  @Test("a ledger that decided but whose answer was lost is asked again under the same id, and decides nothing new")
  func answerLost() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      world.ledger.health = .losingAnswers
      await expectRefusal(.unavailable) { _ = try await world.change(.freeze, id) }
      #expect(world.ledger.status(of: id) == .frozen)
      // The ledger's decision is not known here yet.
      #expect(try await world.status(of: id) == .open)
      world.ledger.health = .up
      #expect(try await world.change(.freeze, id).status == .frozen)
      #expect(world.ledger.decisions.count == 2)
    }
  }

  @Test("a crash right after the commit is healed by the reconciler, whoever opened or changed what")
  func crashAfterCommit() async throws {
    try await AccountWorld.with { (world) async throws in
      let store = AccountStore(pool: world.pool)
      let context = CallContext(
        peer: SPIFFEID(trustDomain: "florin.local", path: "operator/admin"), method: "", idempotencyKey: UUID128.random().description)
      let opening = try Opening(AccountAPI.OpenAccountRequest(reference: "r", currency: "GBP"), context)
      // What a process does before it dies.
      guard case .opened = try await store.requestOpening(opening, at: SystemWallClock().now) else {
        Issue.record("the key was new")
        return
      }
      try await world.makeEventsDue()
      #expect(try await world.reconciler().reconcile() == 1)
      let account = try #require(try await store.account(opening.accountID))
      #expect(account.status == .open)

      #expect(try await store.requestChange(.freeze, of: account, reason: "fraud", by: "operator/admin", at: SystemWallClock().now) != nil)
      // The next process finds the event under way and completes it before it looks at its own.
      #expect(try await world.change(.unfreeze, account.id.name).status == .open)
      #expect(world.ledger.posted.map(\.status) == [.open, .frozen, .open])
    }
  }

  @Test("an event cannot overtake one that the ledger has not decided")
  func order() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      world.ledger.health = .down
      await expectRefusal(.unavailable) { _ = try await world.change(.freeze, id) }
      await expectRefusal(.unavailable) { _ = try await world.change(.close, id) }
      #expect(try await world.count("SELECT count(*) FROM account.account_events") == 2)
      let store = AccountStore(pool: world.pool)
      let accountID = try #require(AccountID(id))
      let account = try #require(try await store.account(accountID))
      await #expect(throws: (any Error).self) {
        _ = try await store.requestChange(.close, of: account, reason: "x", by: "y", at: SystemWallClock().now)
      }
      world.ledger.health = .up
      await expectRefusal(reason: "account_frozen") { _ = try await world.change(.close, id) }
    }
  }

  @Test("a caller that hangs up only stops waiting: the change goes on")
  func callerHangsUp() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      world.ledger.health = .hanging
      let before = world.ledger.calls
      let caller = Task { try await world.change(.freeze, id) }
      while world.ledger.calls == before { try await Task.sleep(for: .milliseconds(5)) }
      caller.cancel()
      let outcome = await caller.result
      #expect(throws: RPCError.self) { try outcome.get() }
      world.ledger.health = .up
      await world.supervisor.waitUntilIdle()
      #expect(try await world.status(of: id) == .frozen)
    }
  }

  @Test("several reconcilers at once complete each event once")
  func severalReconcilers() async throws {
    try await AccountWorld.with { (world) async throws in
      world.ledger.health = .down
      for number in 0..<10 { _ = await refusal { _ = try await world.open(reference: "r\(number)") } }
      world.ledger.health = .up
      try await world.makeEventsDue()
      let reconciler = try world.reconciler()
      let taken = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 { group.addTask { () async throws in try await reconciler.reconcile() } }
        return try await group.reduce(0, +)
      }
      #expect(taken == 10)
      #expect(world.ledger.decisions.count == 10)
      #expect(try await world.accounts().list(.init()).accounts.allSatisfy { $0.status == .open })
      #expect(try await world.count("SELECT count(*) FROM account.event_queue") == 0)
      #expect(try await world.count("SELECT count(*) FROM account.account_event_results") == 10)
    }
  }

  @Test("the reconciler runs by itself until it is told to stop")
  func runs() async throws {
    try await AccountWorld.with { (world) async throws in
      world.ledger.health = .down
      _ = await refusal { _ = try await world.open() }
      world.ledger.health = .up
      try await world.makeEventsDue()
      let reconciler = try world.reconciler()
      let running = Task { try await reconciler.run() }
      while try await world.count("SELECT count(*) FROM account.account_event_results") == 0 {
        try await Task.sleep(for: .milliseconds(10))
      }
      running.cancel()
      try await running.value
      #expect(try await world.accounts().list(.init()).accounts.map(\.status) == [.open])
    }
  }
}
