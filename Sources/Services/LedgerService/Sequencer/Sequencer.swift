internal import DequeModule
internal import LedgerRules
internal import Logging
internal import MeshProtocol
internal import Money
internal import Postgres
internal import ServiceLifecycle
internal import Telemetry

/// The one writer of the ledger.
///
/// It takes everything that is queued (there is no timer: batches size themselves), decides it in memory, writes it with one
/// statement on one connection, and answers after the commit. On any error it throws its memory away, takes over again with a new
/// epoch (so that nothing still under way can commit), and builds itself from the ledger's rows. Then it tries what had failed
/// again: ids that are found are answered from their rows; if a row was at fault, each request goes by itself, and one that
/// fails twice alone is refused. One bad posting never stops the ledger.
package actor Sequencer: Service {
  package struct Configuration: Sendable {
    /// Postings and commands in a batch, at most.
    package var batchLimit = 1024
    /// Postings and commands waiting, at most.
    package var queueLimit = 16_384
    /// How long callers wait for the database to come back before they are refused.
    package var patience: Duration = .seconds(2)
    /// Pauses between attempts to come back.
    package var backoff: ClosedRange<Duration> = .milliseconds(20) ... .seconds(1)
    /// Postings decided lately that are held in memory.
    package var recentTransfers = 131_072

    package init() {}
  }

  private let database: PostgresConfiguration
  private let configuration: Configuration
  private let owner: String
  private let clock: any WallClock
  private let logger: Logger
  private let metrics = SequencerMetrics()
  private let checkpoints: CheckpointWriter
  nonisolated let queue: SubmissionQueue
  nonisolated let status: SequencerStatus

  private var connection: PostgresConnection?
  /// Nil while a batch is being written: if it fails, there is nothing to throw away.
  private var state: LedgerState?
  private var clockGuard = ClockGuard()
  /// What failed, in order, to be tried again before anything new.
  private var suspects: Deque<Trial> = []
  /// A row among the suspects is at fault: one at a time.
  private var oneAtATime = false

  /// - Parameter database: as for the pool; the sequencer has a connection of its own.
  init(
    database: PostgresConfiguration, configuration: Configuration, owner: String, clock: any WallClock,
    checkpoints: CheckpointWriter, status: SequencerStatus, logger: Logger
  ) {
    self.database = database
    self.configuration = configuration
    self.owner = owner
    self.clock = clock
    self.checkpoints = checkpoints
    self.status = status
    self.logger = logger
    queue = SubmissionQueue(limit: configuration.queueLimit)
  }

  /// Decides the requests, in order; they may end up in different batches. Answers after the commit.
  /// - Throws: UNAVAILABLE (queue full: not executed; database gone: unknown), CANCELLED (nobody waits; decided all the same).
  nonisolated func submit(_ requests: [LedgerRequest]) async throws(RPCError) -> [[Decision]] {
    let trace = TraceIdentity.current
    let submissions = requests.map { Submission($0, trace: trace) }
    try queue.enqueue(submissions)
    var answers: [[Decision]] = []
    for submission in submissions { answers.append(try await submission.value()) }
    return answers
  }

  /// Writes until shutdown; then finishes what was queued.
  package func run() async throws {
    // Of its own, so that cancelling the service cannot cancel a statement: what is queued runs to its end.
    let work = Task.detached { await self.work() }
    await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        await work.value
      } onGracefulShutdown: {
        self.queue.close()
      }
    } onCancel: {
      self.queue.close()
    }
  }

  private func work() async {
    while true {
      if state == nil, await !comeBack() { return }
      var trials = nextSuspects()
      if trials.isEmpty {
        trials = await queue.take(upTo: configuration.batchLimit).map(Trial.init)
        guard !trials.isEmpty else { break }
      }
      metrics.waiting(queue.weight)
      do {
        try await book(&trials)
      } catch {
        await failed(trials, BatchFailure(error))
      }
    }
    await connection?.close()
  }

  // MARK: A batch

  private func book(_ trials: inout [Trial]) async throws {
    guard let connection, var ledger = state.take() else { return }
    let requests = trials.map(\.submission.request)
    try await checkClock(connection, head: ledger.head.createdAt)
    let unknowns = ledger.unknowns(of: requests)
    let known = unknowns.isEmpty ? Briefing() : try await LedgerLoader.briefing(connection, on: unknowns)
    ledger.begin(at: clock.now, knowing: known)
    let decisions = requests.map { ledger.decide($0) }
    guard let batch = ledger.finish() else {
      // All of it had been decided before.
      state = ledger
      for (trial, decided) in zip(trials, decisions) { trial.answer(decided) }
      return
    }
    for index in trials.indices { trials[index].sentIn.insert(batch.header.number) }
    let started = ContinuousClock.now
    // One round trip, one transaction, which commits by itself.
    let results = try await connection.results(
      of: [BatchStatement.insert(batch)] + BatchRecord.statements(batch, trials.map(\.submission)))
    let ended = ContinuousClock.now
    if let now = try results.first?.rows.first?.timestamp("now") { clockGuard.databaseSaid(now, at: ended) }
    checkpoints.offer(ledger.takeCheckpoints(limit: 256))
    state = ledger
    for (trial, decided) in zip(trials, decisions) { trial.answer(decided) }
    metrics.booked(batch, in: started.duration(to: ended))
  }

  private func checkClock(_ connection: PostgresConnection, head: Timestamp) async throws {
    if !clockGuard.isTolerable(clock.now, at: .now) {
      // Perhaps PostgreSQL's clock was set: ask before refusing.
      let rows = try await connection.query("SELECT clock_timestamp() AS now")
      guard let now = try rows.first?.timestamp("now") else { throw SequencerError.noGenesis }
      clockGuard.databaseSaid(now, at: .now)
      let skew = clockGuard.skew(of: clock.now, at: .now) ?? 0
      guard abs(skew) <= ClockGuard.tolerance else { throw SequencerError.clockApart(seconds: skew / 1_000_000) }
    }
    let lead = head.microseconds - clock.now.microseconds
    guard lead <= ClockGuard.tolerance else { throw SequencerError.bookingTimeAhead(seconds: lead / 1_000_000) }
  }

  // MARK: After a failure

  private func nextSuspects() -> [Trial] {
    if suspects.isEmpty { oneAtATime = false }
    if oneAtATime { return suspects.popFirst().map { [$0] } ?? [] }
    defer { suspects = [] }
    return Array(suspects)
  }

  private func failed(_ trials: [Trial], _ failure: BatchFailure) async {
    metrics.failed(failure.label)
    logger.error(
      "ledger.batch_failed",
      metadata: [
        "cause": .string(failure.label), "requests": .stringConvertible(trials.count), "detail": .string(failure.why),
      ])
    status.set(.halted(failure.why))
    state = nil
    await connection?.close()
    connection = nil
    var again: [Trial] = []
    for var trial in trials {
      switch failure {
      case .content where trials.count == 1:
        trial.refusalsAlone += 1
        if trial.refusalsAlone >= Trial.refusalLimit { trial.refuse(failure.why) } else { again.append(trial) }
      case .content: again.append(trial)
      case .circumstances:
        trial.failures += 1
        if trial.failures >= Trial.attemptLimit { trial.giveUp(failure.why) } else { again.append(trial) }
      }
    }
    if case .content = failure { oneAtATime = true }
    suspects.prepend(contentsOf: again)
  }

  /// Connects, takes over and builds the state from the ledger's rows; for as long as it takes. False: closed meanwhile.
  private func comeBack() async -> Bool {
    let started = ContinuousClock.now
    var pause = configuration.backoff.lowerBound
    while true {
      do {
        try await takeOver()
        queue.setBarrier(nil)
        metrics.rebuilt(in: started.duration(to: .now))
        return true
      } catch {
        await connection?.close()
        connection = nil
        let why = "\(error)"
        status.set(.halted(why))
        logger.error("ledger.writer_halted", metadata: ["detail": .string(why)])
        let isOver = queue.isClosed
        if isOver || started.duration(to: .now) > configuration.patience {
          for trial in suspects { trial.giveUp(why) }
          suspects = []
          queue.setBarrier(
            RPCError(
              .unavailable, "the ledger cannot write now (\(why)); nothing was booked, try again later", executed: .no,
              retryAfter: .seconds(1)))
        }
        if isOver { return false }
        try? await Task.sleep(for: pause * Int.random(in: 50...150) / 100)
        pause = min(pause * 2, configuration.backoff.upperBound)
      }
    }
  }

  private func takeOver() async throws {
    let connection = try await PostgresConnection.connect(database, logger: logger)
    self.connection = connection
    clockGuard = ClockGuard()
    let clock = clock
    for _ in 0..<20 {
      try await checkClock(connection, head: LedgerLoader.head(connection).createdAt)
      let (head, epoch) = try await WriterClaim.claim(connection, owner: owner) { clock.now }
      if status.snapshot.months == nil { status.set(try await LedgerMonths.ensure(connection, logger)) }
      let limits = LedgerState.Limits(recentTransfers: configuration.recentTransfers)
      guard let loaded = try await LedgerLoader.state(connection, on: head, epoch: epoch, now: clock.now, limits: limits) else {
        continue
      }
      state = loaded
      status.set(.live(epoch: epoch))
      logger.info(
        "ledger.writer_live",
        metadata: [
          "epoch": .stringConvertible(epoch), "batch": .stringConvertible(head.number),
          "accounts": .stringConvertible(loaded.accounts.count),
        ])
      return
    }
    throw SequencerError.contended
  }
}
