internal import DequeModule

/// Who has which connection, who waits, and when to open and close: a pure value. Time is an argument, effects are returned.
package struct PoolStateMachine<Connection: Sendable, Waiter: Sendable>: Sendable {
  package struct Limits: Sendable {
    package var size: Int
    package var waiting: Int
    package var backoff: ClosedRange<Duration>

    package init(size: Int, waiting: Int, backoff: ClosedRange<Duration>) {
      self.size = size
      self.waiting = waiting
      self.backoff = backoff
    }
  }

  /// A connection in someone's hands. Goes back by `released`.
  package struct Lease: Sendable {
    package var connection: Connection
    package var expires: ContinuousClock.Instant

    package init(connection: Connection, expires: ContinuousClock.Instant) {
      self.connection = connection
      self.expires = expires
    }
  }

  /// What the caller has to do, in any order, after it has let go of the lock.
  package struct Effects: Sendable {
    package var hand: (waiter: Waiter, lease: Lease)?
    package var refuse: [(waiter: Waiter, error: PostgresError)] = []
    /// Start one connect for each, after the pause.
    package var open: [Duration] = []
    package var close: [Connection] = []
    /// Everything is closed: nobody will call again.
    package var drained = false
  }

  private struct Idle: Sendable {
    var lease: Lease
    var since: ContinuousClock.Instant
  }

  private struct Waiting: Sendable {
    var id: UInt64
    var waiter: Waiter
  }

  private let limits: Limits
  /// Last in, first out: what was used last is warm, and the rest may age.
  private var idle: [Idle] = []
  private var leased = 0
  private var opening = 0
  private var waiting: Deque<Waiting> = []
  private var isClosing = false
  private var failures = 0
  private var retryAt: ContinuousClock.Instant?
  package private(set) var lastFailure: PostgresError?

  package init(limits: Limits) { self.limits = limits }

  package var counts: (idle: Int, leased: Int, opening: Int, waiting: Int) { (idle.count, leased, opening, waiting.count) }

  /// The fast path: an idle connection, if nobody waits for it already.
  package mutating func leaseIdle(now: ContinuousClock.Instant) -> Lease? {
    guard !isClosing, waiting.isEmpty, let last = idle.last, last.lease.expires > now else { return nil }
    idle.removeLast()
    leased += 1
    return last.lease
  }

  /// A caller who found no idle connection.
  package mutating func waiterArrived(
    _ id: UInt64, _ waiter: Waiter, until limit: ContinuousClock.Instant, now: ContinuousClock.Instant, jitter: Double
  ) -> Effects {
    var effects = Effects()
    if isClosing {
      effects.refuse = [(waiter, PostgresError(.poolClosed, "the connection pool is closed"))]
    } else if now >= limit {
      effects.refuse = [(waiter, exhausted("the time for waiting is over"))]
    } else if waiting.count >= limits.waiting {
      effects.refuse = [(waiter, exhausted("\(waiting.count) callers wait for \(limits.size) connections already"))]
    } else {
      waiting.append(Waiting(id: id, waiter: waiter))
      serve(&effects, now, jitter)
    }
    return effects
  }

  /// The waiter's time is over, or its task was cancelled. Nil: it has been served already.
  package mutating func waiterLeft(_ id: UInt64) -> Waiter? {
    guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
    return waiting.remove(at: index).waiter
  }

  /// What to tell a waiter whose time is over.
  package func exhausted(_ what: String) -> PostgresError {
    if failures > 0, let lastFailure { return lastFailure }
    return PostgresError(.poolExhausted, "no connection became free: \(what); make calls shorter, or the pool larger")
  }

  package mutating func connectionOpened(_ lease: Lease, now: ContinuousClock.Instant, jitter: Double) -> Effects {
    var effects = Effects()
    opening -= 1
    failures = 0
    retryAt = nil
    lastFailure = nil
    keepOrClose(lease, now, &effects)
    serve(&effects, now, jitter)
    return effects
  }

  package mutating func openFailed(_ error: PostgresError, now: ContinuousClock.Instant, jitter: Double) -> Effects {
    var effects = Effects()
    opening -= 1
    failures += 1
    lastFailure = error
    retryAt = now + pause(jitter)
    if error.code == .refused {
      // Waiting does not help: say so at once.
      effects.refuse = waiting.map { ($0.waiter, error) }
      waiting.removeAll()
    }
    serve(&effects, now, jitter)
    return effects
  }

  package mutating func released(_ lease: Lease, usable: Bool, now: ContinuousClock.Instant, jitter: Double) -> Effects {
    var effects = Effects()
    leased -= 1
    if usable, lease.expires > now { keepOrClose(lease, now, &effects) } else { effects.close.append(lease.connection) }
    serve(&effects, now, jitter)
    return effects
  }

  /// A connection was found dead: the idle ones probably died with it.
  package mutating func connectionsSuspected() -> Effects {
    var effects = Effects()
    effects.close = idle.map(\.lease.connection)
    idle.removeAll()
    return effects
  }

  /// Idle connections beyond their lifetime are closed; those idle for longer than `checkAfter` are leased, to be examined and released.
  package mutating func maintenanceDue(checkAfter: Duration, now: ContinuousClock.Instant) -> (effects: Effects, examine: [Lease]) {
    var effects = Effects()
    var examine: [Lease] = []
    idle.removeAll { entry in
      if entry.lease.expires <= now {
        effects.close.append(entry.lease.connection)
        return true
      }
      guard entry.since.duration(to: now) >= checkAfter else { return false }
      examine.append(entry.lease)
      return true
    }
    leased += examine.count
    return (effects, examine)
  }

  package mutating func closeRequested() -> Effects {
    isClosing = true
    var effects = Effects()
    effects.refuse = waiting.map { ($0.waiter, PostgresError(.poolClosed, "the connection pool is closed")) }
    effects.close = idle.map(\.lease.connection)
    waiting.removeAll()
    idle.removeAll()
    effects.drained = leased == 0 && opening == 0
    return effects
  }

  private mutating func keepOrClose(_ lease: Lease, _ now: ContinuousClock.Instant, _ effects: inout Effects) {
    if isClosing { effects.close.append(lease.connection) } else { idle.append(Idle(lease: lease, since: now)) }
  }

  /// Hands an idle connection to the first waiter, and starts connects for the others.
  private mutating func serve(_ effects: inout Effects, _ now: ContinuousClock.Instant, _ jitter: Double) {
    if isClosing {
      effects.drained = leased == 0 && opening == 0
      return
    }
    while let last = idle.last, last.lease.expires <= now {
      idle.removeLast()
      effects.close.append(last.lease.connection)
    }
    // One input frees one connection at most, so one waiter at most is served.
    if let first = waiting.first, let last = idle.popLast() {
      waiting.removeFirst()
      leased += 1
      effects.hand = (first.waiter, last.lease)
    }
    // While the server cannot be reached, one attempt at a time is enough.
    let parallel = failures > 0 ? 1 : limits.size
    while waiting.count > opening, opening < parallel, idle.count + leased + opening < limits.size {
      opening += 1
      effects.open.append(retryAt.map { max(.zero, now.duration(to: $0)) } ?? .zero)
    }
  }

  /// `jitter`: 0 to 1.
  private func pause(_ jitter: Double) -> Duration {
    let base = min(limits.backoff.lowerBound * (1 << min(failures - 1, 16)), limits.backoff.upperBound)
    return base * (0.5 + jitter)
  }
}
