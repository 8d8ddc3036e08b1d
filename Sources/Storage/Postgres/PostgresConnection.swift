public import Logging
internal import Synchronization

/// One session with the server: an actor on a thread of its own that makes blocking libpq calls.
///
/// A statement outside a transaction commits by itself. Cancelling the task cancels the statement at the server.
/// If the connection breaks it stays broken (`isUsable` is false): make a new one; `PostgresPool` does.
public actor PostgresConnection: SQLExecutor {
  private nonisolated let thread: ThreadExecutor
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  nonisolated let configuration: PostgresConfiguration
  private nonisolated let logger: Logger
  private nonisolated let gate = CancelGate()
  private nonisolated let telemetry: StatementTelemetry
  /// Numbers statements (for the gate) and transactions (so that a finished one cannot be used).
  private nonisolated let counter = Atomic<UInt64>(1)
  private nonisolated let open = Atomic<Bool>(false)

  private var link: LibpqLink?
  /// What the session's statement_timeout is, in milliseconds; nil: not known for sure.
  private var serverTimeout: Int64?
  private var transaction: OpenTransaction?
  private var lastFinished: UInt64 = 0

  private struct OpenTransaction {
    var id: UInt64
    /// The error that made the server give the transaction up.
    var failure: PostgresError?
  }

  private init(_ configuration: PostgresConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    thread = ThreadExecutor()
    telemetry = StatementTelemetry(database: configuration.database)
  }

  deinit { thread.stop() }

  /// Connects, and checks that the server is fit to keep money (unless the configuration says not to).
  /// - Throws: `.unreachable`, `.refused` (log-in or server not acceptable).
  public static func connect(_ configuration: PostgresConfiguration, logger: Logger) async throws(PostgresError) -> PostgresConnection {
    let connection = PostgresConnection(configuration, logger: logger)
    try await connection.logIn()
    if configuration.requiresDurability {
      do {
        try await ServerRequirements.check(connection)
      } catch {
        await connection.close()
        throw error
      }
    }
    return connection
  }

  private func logIn() throws(PostgresError) {
    var limit = ContinuousClock.now + configuration.connectTimeout
    if let deadline = Deadline.current { limit = min(limit, deadline) }
    let link = try LibpqLink.open(configuration, until: limit, logger: logger)
    gate.open(adopting: link.cancelHandle())
    serverTimeout = configuration.statementTimeout.wholeMilliseconds
    self.link = link
    open.store(true, ordering: .releasing)
  }

  /// Ends the session. An open transaction is rolled back by the server.
  public func close() {
    open.store(false, ordering: .releasing)
    gate.close()
    link = nil
  }

  /// False once the connection is known to be broken or closed. Doesn't look at the socket.
  nonisolated var isOpen: Bool { open.load(ordering: .acquiring) }

  /// False once the connection is broken or closed. Looks at the socket: notices a server that has gone.
  public var isUsable: Bool { link?.isQuiet() ?? false }

  /// The server's process for this session.
  public var backendPID: Int32? { link?.backendPID }

  // MARK: Statements

  public nonisolated func results(of statements: [SQLStatement]) async throws(PostgresError) -> [SQLResult] {
    try await run(statements, in: nil)
  }

  /// Runs one statement or text of many statements by the simple protocol, for schema changes. No parameters, no rows.
  /// Within `transaction(…)` use the transaction's own `script`.
  public nonisolated func script(_ sql: StaticString) async throws(PostgresError) {
    try await cancellable { connection, ticket throws(PostgresError) in try await connection.perform(script: sql, in: nil, ticket) }
  }

  nonisolated func run(_ statements: [SQLStatement], in transaction: TransactionScope?) async throws(PostgresError) -> [SQLResult] {
    guard !statements.isEmpty else { return [] }
    guard statements.count <= 1024 else { throw PostgresError(.misuse, "a pipeline takes at most 1,024 statements") }
    let measured = telemetry.start("postgres.statement", statements)
    do {
      let results = try await cancellable { connection, ticket throws(PostgresError) in
        try await connection.perform(statements, in: transaction, ticket)
      }
      measured.end(nil)
      return results
    } catch {
      measured.end(error)
      throw error
    }
  }

  nonisolated func script(_ sql: StaticString, in transaction: TransactionScope) async throws(PostgresError) {
    try await cancellable { connection, ticket throws(PostgresError) in
      try await connection.perform(script: sql, in: transaction, ticket)
    }
  }

  nonisolated func nextNumber() -> UInt64 { counter.add(1, ordering: .relaxed).newValue }

  private nonisolated func cancellable<R: Sendable>(
    _ body: @Sendable (PostgresConnection, UInt64) async throws(PostgresError) -> R
  ) async throws(PostgresError) -> R {
    let ticket = nextNumber()
    // Through Result, because withTaskCancellationHandler forgets the type of what is thrown.
    let outcome = await withTaskCancellationHandler {
      do throws(PostgresError) { return Result<R, PostgresError>.success(try await body(self, ticket)) } catch { return .failure(error) }
    } onCancel: {
      gate.cancel(ticket)
    }
    return try outcome.get()
  }

  private func perform(
    _ statements: [SQLStatement], in scope: TransactionScope?, _ ticket: UInt64
  ) throws(PostgresError) -> [SQLResult] {
    try attempt(in: scope, ticket) { link, prelude, limit throws(LibpqLink.Failure) in
      try link.run(prelude + statements.map(LibpqLink.Command.statement), until: limit)
    }
  }

  private func perform(script: StaticString, in scope: TransactionScope?, _ ticket: UInt64) throws(PostgresError) {
    try attempt(in: scope, ticket) { link, prelude, limit throws(LibpqLink.Failure) in
      if !prelude.isEmpty { _ = try link.run(prelude, until: limit) }
      try link.runScript(script, until: limit)
    }
  }

  /// Checks that the statement may start, opens the transaction if it is the first of one, and translates failures.
  private func attempt<R>(
    in scope: TransactionScope?, _ ticket: UInt64,
    _ body: (LibpqLink, [LibpqLink.Command], ContinuousClock.Instant) throws(LibpqLink.Failure) -> R
  ) throws(PostgresError) -> R {
    guard let link, link.isUsable else { throw PostgresError(.connectionLost, "the connection is closed") }
    let begins = try admit(scope)
    if scope == nil || begins, !link.isQuiet() {
      // The server went while we were idle. Found before anything is sent, it costs nothing but another connection.
      close()
      throw PostgresError(.connectionLost, "the server has closed the connection")
    }
    gate.begin(ticket)
    // Cancelled before `begin`: the gate did not know us yet. Cancelled after: it asks the server to stop.
    guard !Task.isCancelled else {
      _ = gate.end()
      throw PostgresError(.cancelled, "the task was cancelled before the statement was sent")
    }
    let now = ContinuousClock.now
    var limit = now + configuration.statementTimeout
    if let deadline = Deadline.current { limit = min(limit, deadline) }
    guard limit > now else {
      _ = gate.end()
      throw PostgresError(.timedOut, "the deadline had passed before the statement was sent")
    }
    var prelude: [LibpqLink.Command] = []
    if begins, let scope {
      transaction = OpenTransaction(id: scope.id)
      prelude.append(.control(scope.begin))
    }
    let isUsual = limit == now + configuration.statementTimeout
    let timeout = isUsual ? configuration.statementTimeout.wholeMilliseconds : Self.bucket(now.duration(to: limit).wholeMilliseconds)
    if timeout != serverTimeout { prelude.append(.statementTimeout(milliseconds: timeout)) }
    let outcome: Result<R, LibpqLink.Failure>
    do throws(LibpqLink.Failure) {
      // The server is to cut the statement first; we give the connection up only if it does not answer at all.
      outcome = .success(try body(link, prelude, limit + .milliseconds(timeout / 8) + .seconds(2)))
      serverTimeout = timeout
    } catch {
      outcome = .failure(error)
      // A failed batch undoes the setting with everything else.
      serverTimeout = nil
    }
    let ending = gate.end()
    // BEGIN was not sent after all (a parameter could not be encoded): the next statement has to.
    if begins, link.isUsable, !link.isInTransaction { transaction = nil }
    let result = try settle(outcome, ending, scope, link)
    guard link.isInTransaction == (scope != nil) else {
      close()
      throw noted(PostgresError(.misuse, "a statement began or ended a transaction by itself: use transaction(…)"))
    }
    return result
  }

  /// True if this statement is the first of its transaction.
  private func admit(_ scope: TransactionScope?) throws(PostgresError) -> Bool {
    guard let scope else {
      guard transaction == nil else { throw PostgresError(.misuse, "the connection has a transaction open: run statements in it") }
      return false
    }
    guard scope.id > lastFinished else { throw PostgresError(.misuse, "the transaction has ended") }
    guard let transaction else { return true }
    guard transaction.id == scope.id else { throw PostgresError(.misuse, "the connection has another transaction open") }
    return false
  }

  private func settle<R>(
    _ outcome: Result<R, LibpqLink.Failure>, _ ending: CancelGate.Ending, _ scope: TransactionScope?, _ link: LibpqLink
  ) throws(PostgresError) -> R {
    if ending == .cancelStuck {
      logger.warning("postgres.cancel_stuck", metadata: ["database": .string(configuration.database)])
      close()
    }
    switch outcome {
    case .success(let value):
      if ending == .notCancelled { return value }
      // The request came too late. In a transaction it still stops it; a self-committing statement has happened.
      if scope != nil { throw noted(PostgresError(.cancelled, "the task was cancelled")) }
      settleLateCancel(link)
      return value
    case .failure(.server(var error)):
      if error.sqlState == "57014" {
        error.code = ending == .notCancelled ? .timedOut : .cancelled
      } else if ending != .notCancelled {
        if scope == nil { settleLateCancel(link) }
      }
      if !link.isUsable { close() }
      throw noted(error)
    case .failure(.lost(var error)):
      close()
      if scope == nil {
        error.code = .commitUnknown
        error.message = "the connection broke while a self-committing statement was under way: " + error.message
      }
      throw noted(error)
    case .failure(.stalled):
      close()
      let error =
        scope == nil
        ? PostgresError(.commitUnknown, "the server did not answer a self-committing statement in time")
        : PostgresError(.timedOut, "the server did not answer in time")
      throw noted(error)
    }
  }

  private func noted(_ error: PostgresError) -> PostgresError {
    if transaction != nil, transaction?.failure == nil { transaction?.failure = error }
    return error
  }

  /// After a cancel request that came too late: one empty round trip, which takes the blow if the signal is still on its way.
  private func settleLateCancel(_ link: LibpqLink) {
    do throws(LibpqLink.Failure) { _ = try link.run([], until: .now + .seconds(2)) } catch {
      if case .server = error { return }
      close()
    }
  }

  /// Rounded up to three significant bits, so that calls with like deadlines need no new setting: at most 1/4 too long.
  static func bucket(_ milliseconds: Int64) -> Int64 {
    guard milliseconds > 8 else { return max(1, milliseconds) }
    let step = Int64(1) << (Int64.bitWidth - milliseconds.leadingZeroBitCount - 4)
    return (milliseconds + step - 1) / step * step
  }

  // MARK: Transactions

  /// Runs `body` in a transaction: committed when it returns, rolled back when it throws, and run again (from the start, in
  /// a new transaction) when it fails with a serialization failure or a deadlock.
  /// - Throws: what `body` throws; of ours also `.commitUnknown`.
  @discardableResult
  public nonisolated func transaction<R: Sendable>(
    isolation: IsolationLevel = .readCommitted, readOnly: Bool = false, retries: Int = 3,
    _ body: @Sendable (PostgresTransaction) async throws -> R
  ) async throws -> R {
    var attempt = 0
    while true {
      let scope = TransactionScope(id: nextNumber(), begin: isolation.begin(readOnly: readOnly))
      let transaction = PostgresTransaction(connection: self, scope: scope)
      do {
        let value = try await body(transaction)
        let measured = telemetry.start("postgres.commit", [SQLStatement("COMMIT")])
        do {
          try await commit(scope)
          measured.end(nil)
        } catch {
          measured.end(error)
          throw error
        }
        return value
      } catch {
        // `body` may have wrapped the error of the statement: the connection remembers it.
        let cause = await rollback(scope) ?? error as? PostgresError
        guard let cause, cause.isRetryableTransaction, attempt < retries, !Task.isCancelled else { throw error }
        let pause = Duration.milliseconds(Int64.random(in: 1...(8 << min(attempt, 6))))
        if let remaining = Deadline.remaining, remaining <= pause { throw error }
        telemetry.retried()
        // Cancelled meanwhile: the conflict is what there is to tell.
        do { try await Task.sleep(for: pause) } catch is CancellationError { throw error }
        attempt += 1
      }
    }
  }

  /// Never cancelled. After the answer, or its absence, the transaction is over.
  private func commit(_ scope: TransactionScope) throws(PostgresError) {
    guard scope.id > lastFinished else { throw PostgresError(.misuse, "the transaction has ended") }
    // Without a statement there is nothing to commit.
    guard let open = transaction, open.id == scope.id else {
      lastFinished = scope.id
      return
    }
    guard let link, link.isUsable else { throw open.failure ?? PostgresError(.connectionLost, "the connection is closed") }
    // Last chance to stop with a known outcome.
    guard !Task.isCancelled else { throw PostgresError(.cancelled, "the task was cancelled before COMMIT") }
    if let deadline = Deadline.current, deadline <= .now { throw PostgresError(.timedOut, "the deadline passed before COMMIT") }
    do throws(LibpqLink.Failure) {
      _ = try link.run([.control("COMMIT")], until: .now + configuration.commitTimeout)
      finish(scope)
    } catch {
      serverTimeout = nil
      switch error {
      case .server(var refusal):
        if refusal.sqlState == "57014" { refusal.code = .timedOut }
        if refusal.code == .transactionAborted, let failure = open.failure { refusal.message += "; it was: \(failure)" }
        throw noted(refusal)
      case .lost(let loss):
        close()
        throw noted(PostgresError(.commitUnknown, "the connection broke during COMMIT: " + loss.message))
      case .stalled:
        close()
        throw noted(PostgresError(.commitUnknown, "the server did not answer COMMIT in time"))
      }
    }
  }

  /// Never cancelled. Returns the error that the server gave the transaction up for, if it did.
  private func rollback(_ scope: TransactionScope) -> PostgresError? {
    defer { finish(scope) }
    guard let open = transaction, open.id == scope.id, let link else { return transaction?.failure }
    serverTimeout = nil
    var tries = 0
    // A late cancel request may hit the first ROLLBACK; the second then meets an aborted transaction and succeeds.
    while link.isUsable, link.isInTransaction, tries < 2 {
      tries += 1
      do throws(LibpqLink.Failure) { _ = try link.run([.control("ROLLBACK")], until: .now + .seconds(5)) } catch {
        if case .server = error { continue }
        break
      }
    }
    // The server rolls back what is left when the session ends.
    if !link.isUsable || link.isInTransaction { close() }
    return open.failure
  }

  private func finish(_ scope: TransactionScope) {
    transaction = nil
    lastFinished = max(lastFinished, scope.id)
  }
}
