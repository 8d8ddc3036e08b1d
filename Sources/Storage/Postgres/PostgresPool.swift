public import Logging
internal import Metrics
public import ServiceLifecycle
internal import Synchronization

/// A bounded set of connections to one database, for many callers.
///
/// Connections are opened as they are needed, also before `run()`; `run()` examines idle ones, replaces old ones, and closes
/// the pool on graceful shutdown: callers who have a connection may finish, nobody gets a new one.
public final class PostgresPool: SQLExecutor, Service {
  private typealias Machine = PoolStateMachine<PostgresConnection, CheckedContinuation<Result<Lease, PostgresError>, Never>>
  private struct Lease: Sendable {
    var machine: PoolStateMachine<PostgresConnection, CheckedContinuation<Result<Lease, PostgresError>, Never>>.Lease
    var connection: PostgresConnection { machine.connection }
  }

  public let configuration: PostgresConfiguration
  private let logger: Logger
  private let machine: Mutex<Machine>
  private let waiterIDs = Atomic<UInt64>(0)
  private let drained = AsyncStream<Void>.makeStream()
  private let meters: PoolMeters

  public init(_ configuration: PostgresConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    meters = PoolMeters(database: configuration.database)
    machine = Mutex(
      Machine(
        limits: .init(
          size: max(1, configuration.poolSize), waiting: max(0, configuration.waitingLimit), backoff: configuration.reconnectBackoff)))
  }

  // MARK: Using a connection

  /// Runs the statements in one round trip; they are one transaction, which commits by itself.
  /// - Throws: also `.poolExhausted`, `.poolClosed`, `.unreachable`.
  public func results(of statements: [SQLStatement]) async throws(PostgresError) -> [SQLResult] {
    var replacements = 0
    while true {
      let lease = try await lease()
      do {
        let results = try await lease.connection.results(of: statements)
        release(lease)
        return results
      } catch {
        release(lease)
        // Outside a transaction this code means that nothing was sent: the connection had died while it was idle.
        guard error.code == .connectionLost, replacements < 2 else { throw error }
        replacements += 1
      }
    }
  }

  /// Runs `body` in a transaction: committed when it returns, rolled back when it throws. It is run again, from its start,
  /// after a serialization failure, a deadlock or a connection lost before COMMIT, so it must have no other effects.
  /// - Throws: what `body` throws; of ours also `.commitUnknown`, `.poolExhausted`, `.poolClosed`, `.unreachable`.
  @discardableResult
  public func transaction<R: Sendable>(
    isolation: IsolationLevel = .readCommitted, readOnly: Bool = false, retries: Int = 3,
    _ body: @Sendable (PostgresTransaction) async throws -> R
  ) async throws -> R {
    var replacements = 0
    while true {
      let lease = try await lease()
      do {
        let value = try await lease.connection.transaction(isolation: isolation, readOnly: readOnly, retries: retries, body)
        release(lease)
        return value
      } catch {
        release(lease)
        guard (error as? PostgresError)?.code == .connectionLost, replacements < min(2, retries), !Task.isCancelled else { throw error }
        replacements += 1
      }
    }
  }

  /// Lends one connection for as long as `body` runs, for session state such as advisory locks. It is closed afterwards,
  /// because nobody knows what state it is in.
  @discardableResult
  public func withConnection<R: Sendable>(_ body: @Sendable (PostgresConnection) async throws -> R) async throws -> R {
    let lease = try await lease()
    do {
      let value = try await body(lease.connection)
      await lease.connection.close()
      release(lease)
      return value
    } catch {
      await lease.connection.close()
      release(lease)
      throw error
    }
  }

  /// Nil if the database can be used now, otherwise why not. For readiness.
  public func unavailability(within limit: Duration = .seconds(2)) async -> String? {
    await Deadline.$current.withValue(.now + limit) {
      do throws(PostgresError) {
        try await query("SELECT 1")
        return nil
      } catch {
        return error.description
      }
    }
  }

  /// Connections that are idle, in use, being opened; callers that wait.
  public var counts: (idle: Int, leased: Int, opening: Int, waiting: Int) { machine.withLock(\.counts) }

  // MARK: Leases

  private func lease() async throws(PostgresError) -> Lease {
    // No hop and no continuation when a connection is idle.
    if let lease = machine.withLock({ $0.leaseIdle(now: .now) }) { return Lease(machine: lease) }
    return try await wait()
  }

  private func wait() async throws(PostgresError) -> Lease {
    let start = ContinuousClock.now
    // A caller is to be told before its own deadline, so that it can still answer.
    let patience = min(configuration.waitLimit, (Deadline.remaining ?? configuration.waitLimit) * 7 / 8)
    let limit = start + patience
    let id = waiterIDs.add(1, ordering: .relaxed).newValue
    let timer = Task { [weak self] in
      do { try await Task.sleep(until: limit, clock: .continuous) } catch { return }
      self?.waiterGaveUp(id) { $0.exhausted("waited for \(patience)") }
    }
    defer { timer.cancel() }
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        act { $0.waiterArrived(id, continuation, until: limit, now: .now, jitter: .random(in: 0...1)) }
        // Cancelled before it stood in the queue: the handler found nobody.
        if Task.isCancelled { waiterGaveUp(id) { _ in Self.cancelled } }
      }
    } onCancel: {
      waiterGaveUp(id) { _ in Self.cancelled }
    }
    meters.waited(start.duration(to: .now), outcome.failure)
    return try outcome.get()
  }

  private static let cancelled = PostgresError(.cancelled, "the task was cancelled while it waited for a connection")

  private func waiterGaveUp(_ id: UInt64, _ error: (borrowing Machine) -> PostgresError) {
    let found = machine.withLock { machine in machine.waiterLeft(id).map { ($0, error(machine)) } }
    if let (waiter, error) = found { waiter.resume(returning: .failure(error)) }
  }

  private func release(_ lease: Lease) {
    let usable = lease.connection.isOpen
    if !usable { act { machine in machine.connectionsSuspected() } }
    act { $0.released(lease.machine, usable: usable, now: .now, jitter: .random(in: 0...1)) }
  }

  // MARK: Effects

  /// The one place where the machine's effects are carried out, always outside the lock.
  private func act(_ step: (inout Machine) -> Machine.Effects) {
    let (effects, counts) = machine.withLock { machine in (step(&machine), machine.counts) }
    if let hand = effects.hand { hand.waiter.resume(returning: .success(Lease(machine: hand.lease))) }
    for refusal in effects.refuse { refusal.waiter.resume(returning: .failure(refusal.error)) }
    for connection in effects.close { Task { await connection.close() } }
    // Detached: a connect serves whoever waits when it is done. With the deadline of the caller who happened to ask for it, a
    // back-off longer than the callers' patience would make every attempt fail before it begins, for good.
    for pause in effects.open { Task.detached { await self.open(after: pause) } }
    meters.report(counts)
    if effects.drained { drained.continuation.finish() }
  }

  private func open(after pause: Duration) async {
    // Not cancelled by anybody: the pool waits for it when it closes.
    if pause > .zero { try? await Task.sleep(for: pause) }
    do throws(PostgresError) {
      let connection = try await PostgresConnection.connect(configuration, logger: logger)
      let lifetime = configuration.connectionLifetime * Double.random(in: 0.9...1.1)
      act {
        $0.connectionOpened(.init(connection: connection, expires: .now + lifetime), now: .now, jitter: .random(in: 0...1))
      }
    } catch {
      logger.warning(
        "postgres.connect_failed",
        metadata: ["database": .string(configuration.database), "role": .string(configuration.user), "detail": .string(error.message)])
      meters.connectFailed()
      act { $0.openFailed(error, now: .now, jitter: .random(in: 0...1)) }
    }
  }

  // MARK: Service

  /// Maintains the pool until graceful shutdown or cancellation, then closes it.
  public func run() async throws {
    try? await cancelWhenGracefulShutdown {
      while true {
        try await Task.sleep(for: self.configuration.idleCheckInterval * Double.random(in: 0.4...0.6))
        await self.maintain()
      }
    }
    await close()
  }

  private func maintain() async {
    var examine: [Machine.Lease] = []
    act { machine in
      let due = machine.maintenanceDue(checkAfter: configuration.idleCheckInterval, now: .now)
      examine = due.examine
      return due.effects
    }
    for lease in examine {
      let isAlive = await Deadline.$current.withValue(.now + .seconds(2)) {
        do throws(PostgresError) {
          try await lease.connection.query("SELECT 1")
          return true
        } catch {
          logger.warning("postgres.idle_connection_lost", metadata: ["detail": .string(error.message)])
          return false
        }
      }
      if !isAlive { await lease.connection.close() }
      release(Lease(machine: lease))
    }
  }

  /// Refuses new callers and waits until those who have a connection are done, at most `limit`.
  public func close(within limit: Duration = .seconds(10)) async {
    act { $0.closeRequested() }
    // Not to be cut short by the cancellation that may have brought us here.
    await Task {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { for await _ in self.drained.stream {} }
        group.addTask { try? await Task.sleep(for: limit) }
        await group.next()
        group.cancelAll()
      }
    }.value
    let left = counts
    if left.leased > 0 { logger.warning("postgres.pool_closed_in_use", metadata: ["connections": .stringConvertible(left.leased)]) }
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
