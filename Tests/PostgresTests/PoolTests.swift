import Logging
import Postgres
import PostgresTestKit
import ServiceLifecycle
import Testing

@Suite("The pool") struct PoolTests {
  @Test("No more connections are opened than allowed, and everybody is served")
  func bound() async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 3) { pool in
      try await withThrowingTaskGroup(of: Int64.self) { group in
        for index in 0..<60 {
          group.addTask {
            try await pool.query("SELECT pg_sleep(0.005)")
            return try await pool.query("SELECT $1 AS n", [.int64(Int64(index))]).first?.int64("n") ?? -1
          }
        }
        var seen: Set<Int64> = []
        for try await value in group { seen.insert(value) }
        #expect(seen == Set(0..<60))
      }
      let counts = pool.counts
      #expect(counts.idle + counts.leased + counts.opening <= 3)
      let sessions = try await pool.query(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'florin-test'")
      #expect(try #require(sessions.first).int64("n") <= 3)
    }
  }

  @Test("A caller waits for a connection no longer than its deadline allows, and is told before it")
  func waitDeadline() async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 1) { pool in
      let holder = Task { try await pool.query("SELECT pg_sleep(3)") }
      _ = try await database.session(running: "SELECT pg_sleep(3)")
      let deadline = ContinuousClock.now + .milliseconds(300)
      let error = await #expect(throws: PostgresError.self) {
        try await Deadline.$current.withValue(deadline) { _ = try await pool.query("SELECT 1") }
      }
      #expect(error?.code == .poolExhausted)
      #expect(error?.isUnavailable == true)
      #expect(pool.counts.waiting == 0)
      holder.cancel()
      _ = await holder.result
      #expect(try await pool.query("SELECT 1 AS one").first?.int64("one") == 1)
    }
  }

  @Test("No more callers wait than allowed")
  func waitingLimit() async throws {
    let database = try await TestDatabase.notes()
    var configuration = database.configuration(poolSize: 1)
    configuration.waitingLimit = 2
    let pool = PostgresPool(configuration, logger: .quiet)
    let holder = Task { try await pool.query("SELECT pg_sleep(20)") }
    _ = try await database.session(running: "SELECT pg_sleep(20)")
    let waiting = (0..<2).map { _ in Task { try await pool.query("SELECT 1 AS one") } }
    while pool.counts.waiting < 2 { try await Task.sleep(for: .milliseconds(1)) }
    let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
    #expect(error?.code == .poolExhausted)
    holder.cancel()
    for task in waiting { #expect(try await task.value.first?.int64("one") == 1) }
    await pool.close()
  }

  @Test("A cancelled caller leaves the queue")
  func cancelledWaiters() async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 1) { pool in
      let holder = Task { try await pool.query("SELECT pg_sleep(21)") }
      _ = try await database.session(running: "SELECT pg_sleep(21)")
      for _ in 0..<50 {
        let waiter = Task { try await pool.query("SELECT 1") }
        if Bool.random() { await Task.yield() }
        waiter.cancel()
        let error = await #expect(throws: PostgresError.self) { try await waiter.value }
        #expect(error?.code == .cancelled)
      }
      #expect(pool.counts.waiting == 0)
      holder.cancel()
      _ = await holder.result
      #expect(try await pool.query("SELECT 1 AS one").first?.int64("one") == 1)
    }
  }

  @Test("Connections that the server ended while they were idle are replaced without the caller noticing")
  func terminatedWhileIdle() async throws {
    let database = try await TestDatabase.notes()
    let superuser = try await database.connect(as: .superuser)
    try await database.withPool(size: 4) { pool in
      for _ in 0..<5 {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<4 { group.addTask { try await pool.query("SELECT pg_sleep(0.01)") } }
          try await group.waitForAll()
        }
        try await superuser.query(
          """
          SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND usename = 'payment_service'
          """)
        #expect(try await pool.query("SELECT 1 AS one").first?.int64("one") == 1)
        #expect(try await pool.transaction { try await $0.query("SELECT 2 AS two") }.first?.int64("two") == 2)
      }
    }
    await superuser.close()
  }

  @Test("A transaction whose connection is ended before COMMIT is run again on another")
  func terminatedInTransaction() async throws {
    let database = try await TestDatabase.notes()
    let superuser = try await database.connect(as: .superuser)
    let attempts = Counter()
    try await database.withPool(size: 2) { pool in
      try await pool.transaction { transaction in
        await attempts.increment()
        let pid = try await transaction.query("SELECT pg_backend_pid() AS pid").first?.int64("pid")
        try await transaction.query("INSERT INTO notes (id, text) VALUES (1, 'one')")
        if await attempts.value == 1 {
          try await superuser.query("SELECT pg_terminate_backend($1::integer, 5000)", [.int64(pid ?? 0)])
        }
        try await transaction.query("INSERT INTO notes (id, text) VALUES (2, 'two')")
      }
      #expect(try await pool.query("SELECT count(*) AS n FROM notes").first?.int64("n") == 2)
    }
    #expect(await attempts.value == 2)
    await superuser.close()
  }

  @Test("The pool comes back by itself after the server was killed and started again")
  func serverKilled() async throws {
    let cluster = try await TestCluster.separate()
    let database = try await cluster.database("payment", migrations: [.notes])
    var configuration = database.configuration(poolSize: 3)
    configuration.waitLimit = .seconds(20)
    let pool = PostgresPool(configuration, logger: .quiet)
    try await pool.query("INSERT INTO notes (id, text) VALUES (1, 'acknowledged')")
    for round in 2...3 {
      try await cluster.administer { try $0.kill() }
      var impatient = configuration
      impatient.waitLimit = .milliseconds(300)
      let hasty = PostgresPool(impatient, logger: .quiet)
      let error = await #expect(throws: PostgresError.self) { try await hasty.query("SELECT 1") }
      #expect(error?.code == .unreachable)
      #expect(error?.isUnavailable == true)
      await hasty.close()
      // Waits for the server while it starts.
      let waiting = Task { try await pool.query("SELECT count(*) AS n FROM notes").first?.int64("n") }
      try await cluster.administer { try $0.startAfterKill() }
      #expect(try await waiting.value == Int64(round - 1))
      try await pool.query("INSERT INTO notes (id, text) VALUES ($1, 'more')", [.int64(Int64(round))])
    }
    await pool.close()
  }

  @Test("A database or role that does not exist is reported at once, not after the wait limit")
  func refusedAtOnce() async throws {
    let database = try await TestDatabase.notes()
    var configuration = database.configuration()
    configuration.user = "ledger_service"
    configuration.waitLimit = .seconds(600)
    let pool = PostgresPool(configuration, logger: .quiet)
    let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
    #expect(error?.code == .refused)
    await pool.close()
  }

  @Test("Closing lets running work finish, turns new work away, and leaves no session")
  func closing() async throws {
    let database = try await TestDatabase.notes()
    let pool = PostgresPool(database.configuration(poolSize: 2), logger: .quiet)
    let running = Task { try await pool.query("SELECT 1 AS one FROM pg_sleep(0.5)") }
    _ = try await database.session(running: "SELECT 1 AS one FROM pg_sleep(0.5)")
    let closing = Task { await pool.close() }
    #expect(try await running.value.first?.int64("one") == 1)
    await closing.value
    let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
    #expect(error?.code == .poolClosed)
    #expect(pool.counts == (0, 0, 0, 0))
  }

  @Test("As a service, the pool closes on graceful shutdown and replaces connections that are past their lifetime")
  func service() async throws {
    let database = try await TestDatabase.notes()
    var configuration = database.configuration(poolSize: 2)
    configuration.connectionLifetime = .milliseconds(50)
    configuration.idleCheckInterval = .milliseconds(20)
    let pool = PostgresPool(configuration, logger: .quiet)
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(services: [.init(service: pool)], gracefulShutdownSignals: [], logger: .quiet))
    let running = Task { try await group.run() }
    let first = try await pool.query("SELECT pg_backend_pid() AS pid").first?.int64("pid")
    // Ends when it is replaced, or never.
    while try await pool.query("SELECT pg_backend_pid() AS pid").first?.int64("pid") == first {
      try await Task.sleep(for: .milliseconds(5))
    }
    await group.triggerGracefulShutdown()
    try await running.value
    let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
    #expect(error?.code == .poolClosed)
  }

  @Test("A lent connection's session state is not seen by the next caller")
  func lentConnections() async throws {
    let database = try await TestDatabase.notes()
    try await database.withPool(size: 1) { pool in
      try await pool.withConnection { connection in
        try await connection.query("SELECT pg_advisory_lock(42)")
        try await connection.query("SELECT set_config('work_mem', '1MB', false)")
      }
      #expect(try await pool.query("SELECT pg_try_advisory_lock(42) AS free").first?.bool("free") == true)
      #expect(try await pool.query("SELECT current_setting('work_mem') AS m").first?.text("m") == "8MB")
    }
  }
}
