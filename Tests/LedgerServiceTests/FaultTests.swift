import FlorinAPI
import LedgerService
import MeshProtocol
import Money
import Postgres
import PostgresTestKit
import Synchronization
import Testing

@Suite struct FaultTests {
  /// Posts until it is answered: the same id each time, so that it is booked once.
  private static func insist(_ ledger: LedgerFixture, _ posting: LedgerAPI.Posting) async throws -> LedgerAPI.PostingResult {
    for _ in 0..<3000 {
      do {
        return try await ledger.post(posting)
      } catch let error as RPCError where error.code == .unavailable {
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    throw FixtureError("\(posting.id) was not answered")
  }

  @Test("killing the sequencer's connection again and again loses nothing and doubles nothing")
  func killedConnections() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1_000_000)
      let isDone = Mutex(false)
      let killer = Task {
        let superuser = try await ledger.database.connect(as: .superuser)
        var kills = 0
        while !isDone.withLock({ $0 }) {
          try await ledger.waitUntilLive()
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...40)))
          kills += try await superuser.query(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'ledger sequencer' AND datname = current_database()
            """
          ).count
        }
        await superuser.close()
        return kills
      }
      let postings = (0..<600).map { _ in Make.transfer("A", "clearing:GBP", 7) }
      let outcomes = try await withThrowingTaskGroup(of: [LedgerAPI.Outcome].self) { group in
        for caller in 0..<20 {
          group.addTask {
            var outcomes: [LedgerAPI.Outcome] = []
            for posting in postings[(caller * 30)..<(caller * 30 + 30)] { outcomes.append(try await Self.insist(ledger, posting).outcome) }
            return outcomes
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      isDone.withLock { $0 = true }
      let kills = try await killer.value
      #expect(kills > 0)
      #expect(outcomes.count == 600 && outcomes.allSatisfy { $0 == .posted })
      #expect(try await Self.insist(ledger, postings[0]).existed)
      #expect(try await ledger.posted("clearing:GBP") == 600 * 7)
      #expect(try await ledger.posted("A") == 1_000_000 - 600 * 7)
      try await expectSound(ledger.database)
    }
  }

  @Test("two writers at once: the fence lets no history break, and every posting is booked once")
  func twoWriters() async throws {
    let database = try await LedgerFixture.fresh()
    try await LedgerFixture.run(database) { one in
      try await one.open("A")
      try await one.fund("A", 100_000)
      try await LedgerFixture.run(database) { two in
        let postings = (0..<200).map { _ in Make.transfer("A", "clearing:GBP", 3) }
        try await withThrowingTaskGroup(of: LedgerAPI.Outcome.self) { group in
          for (index, posting) in postings.enumerated() {
            // Every fourth posting is sent to both.
            if index % 4 != 1 { group.addTask { try await Self.insist(one, posting).outcome } }
            if index % 4 != 3 { group.addTask { try await Self.insist(two, posting).outcome } }
          }
          for try await outcome in group { #expect(outcome == .posted) }
        }
        #expect(try await one.posted("clearing:GBP") == 600)
        #expect(try await two.number("SELECT count(*) AS n FROM ledger.transfers") == 201)
      }
    }
    try await expectSound(database)
  }

  @Test("one posting that the database refuses, among good ones, is refused alone; the others are posted")
  func poison() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1000)
      _ = try await ledger.sql("ALTER TABLE ledger.transfers ADD CONSTRAINT poison CHECK (type <> 'poison') NOT VALID")
      let poison = Make.transfer("A", "clearing:GBP", 1, type: "poison")
      let good = (0..<200).map { _ in Make.transfer("A", "clearing:GBP", 1) }
      // In one request, so in one batch.
      let error = await #expect(throws: RPCError.self) {
        try await ledger.post(Array(good[..<100]) + [poison] + Array(good[100...]))
      }
      #expect(error?.code == .internal && error?.executed == .no)
      #expect(error?.message.contains("refused this posting twice") == true)
      for result in try await ledger.post(good) { #expect(result.outcome == .posted && result.existed) }
      #expect(try await ledger.transfer(poison.id).outcome == .unknown)
      #expect(try await ledger.posted("A") == 800)
      #expect(try await ledger.fund("A", 5).outcome == .posted)
      _ = try await ledger.sql("ALTER TABLE ledger.transfers DROP CONSTRAINT poison")
      #expect(try await ledger.post(poison).outcome == .posted)
      try await expectSound(ledger.database)
    }
  }

  @Test("while PostgreSQL is down callers are told so, and when it is back the ledger goes on by itself")
  func serverCrash() async throws {
    let cluster = try await TestCluster.separate()
    let database = try await cluster.database("ledger", migrations: LedgerFixture.migrations)
    var configuration = Sequencer.Configuration()
    configuration.patience = .milliseconds(200)
    try await LedgerFixture.run(database, configuration: configuration) { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1000)
      let before = Make.transfer("A", "clearing:GBP", 10)
      #expect(try await ledger.post(before).outcome == .posted)
      try await cluster.administer { try $0.kill() }
      // The server's children live on for a moment after it, and may still commit.
      var posted: Int64 = 1
      var lost = Make.transfer("A", "clearing:GBP", 10)
      var down: RPCError?
      while down == nil {
        do {
          try await ledger.post(lost)
          posted += 1
          lost = Make.transfer("A", "clearing:GBP", 10)
        } catch {
          down = try #require(error as? RPCError)
        }
      }
      #expect(down?.code == .unavailable)
      let refused = await #expect(throws: RPCError.self) { try await ledger.post(Make.transfer("A", "clearing:GBP", 10)) }
      #expect(refused?.code == .unavailable && refused?.executed == .no)
      #expect(ledger.parts.unreadiness() != nil)
      let unread = await #expect(throws: RPCError.self) { _ = try await ledger.balance("A") }
      #expect(unread?.code == .unavailable || unread?.code == .deadlineExceeded)
      try await cluster.administer { try $0.startAfterKill() }
      try await ledger.waitUntilLive()
      #expect(try await Self.insist(ledger, lost).outcome == .posted)
      #expect(try await ledger.post(before).existed)
      #expect(try await ledger.posted("A") == 1000 - 10 * (posted + 1))
    }
    try await expectSound(database)
    try await cluster.administer { try $0.stop(.immediate) }
  }

  /// Runs `body` while nothing can be appended, because another session has the batches locked.
  private static func whileBlocked(_ ledger: LedgerFixture, _ body: @Sendable () async throws -> Void) async throws {
    let superuser = try await ledger.database.connect(as: .superuser)
    try await superuser.transaction(retries: 0) { transaction in
      try await transaction.query("LOCK TABLE ledger.batches IN EXCLUSIVE MODE")
      try await body()
    }
    await superuser.close()
  }

  @Test("a full queue refuses at once, not executed; what was queued before is booked")
  func fullQueue() async throws {
    var configuration = Sequencer.Configuration()
    configuration.queueLimit = 10
    try await LedgerFixture.run(configuration: configuration) { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1000)
      let queued = Mutex<[Task<LedgerAPI.PostingResult, any Error>]>([])
      try await Self.whileBlocked(ledger) {
        // One batch under way at most, ten waiting: sooner or later one is refused.
        var refusal: RPCError?
        for _ in 0..<1000 where refusal == nil {
          let outcome = Mutex<Result<LedgerAPI.PostingResult, any Error>?>(nil)
          let task = Task {
            do {
              let result = try await ledger.post(Make.transfer("A", "clearing:GBP", 1))
              outcome.withLock { $0 = .success(result) }
              return result
            } catch {
              outcome.withLock { $0 = .failure(error) }
              throw error
            }
          }
          try await Task.sleep(for: .milliseconds(5))
          if case .failure(let error) = outcome.withLock({ $0 }) {
            refusal = error as? RPCError
          } else {
            queued.withLock { $0.append(task) }
          }
        }
        #expect(refusal?.code == .unavailable && refusal?.executed == .no && refusal?.retryAfter != nil)
      }
      let tasks = queued.withLock { $0 }
      #expect(tasks.count >= 10)
      for task in tasks { #expect(try await task.value.outcome == .posted) }
      #expect(try await ledger.posted("A") == 1000 - Int64(tasks.count))
    }
  }

  @Test("a caller that hangs up only stops waiting: its posting is booked all the same")
  func hangUp() async throws {
    try await LedgerFixture.run { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 1000)
      let postings = (0..<3).map { _ in Make.transfer("A", "clearing:GBP", 1) }
      try await Self.whileBlocked(ledger) {
        for posting in postings {
          let caller = Task { try await ledger.post(posting) }
          try await Task.sleep(for: .milliseconds(30))
          caller.cancel()
          let error = await #expect(throws: RPCError.self) { try await caller.value }
          #expect(error?.code == .cancelled && error?.executed == .unknown)
        }
      }
      for posting in postings {
        for _ in 0..<500 where try await ledger.transfer(posting.id).outcome != .posted { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try await ledger.transfer(posting.id).outcome == .posted)
      }
    }
  }

  /// A clock that can be set.
  private final class TestClock: WallClock {
    private let shift = Mutex<Int64>(0)
    var now: Timestamp { SystemWallClock().now.adding(seconds: shift.withLock { $0 }) }
    func shift(seconds: Int64) { shift.withLock { $0 = seconds } }
  }

  @Test("a writer whose clock is more than five seconds off books nothing until it is set right", arguments: [-3600, -6, 6, 3600])
  func clockApart(seconds: Int64) async throws {
    let clock = TestClock()
    var configuration = Sequencer.Configuration()
    configuration.patience = .milliseconds(100)
    try await LedgerFixture.run(configuration: configuration, clock: clock) { ledger in
      try await ledger.open("A")
      try await ledger.fund("A", 10)
      let batches = try await ledger.number("SELECT count(*) AS n FROM ledger.batches")
      clock.shift(seconds: seconds)
      let posting = Make.transfer("A", "clearing:GBP", 1)
      let error = await #expect(throws: RPCError.self) { try await ledger.post(posting) }
      // A clock that is far behind takes every id for one of the future, which is refused even before.
      #expect(error?.code == (seconds < -60 ? .invalidArgument : .unavailable))
      if seconds >= -60 { #expect(ledger.parts.unreadiness()?.contains("apart") == true) }
      #expect(try await ledger.number("SELECT count(*) AS n FROM ledger.batches") == batches)
      clock.shift(seconds: 0)
      #expect(try await Self.insist(ledger, posting).outcome == .posted)
    }
  }
}
