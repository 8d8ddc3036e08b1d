internal import Metrics

/// The pool's figures.
struct PoolMeters: Sendable {
  private let idle, leased, opening, waiting: Gauge
  private let wait: Metrics.Timer
  private let exhausted, connectFailures: Counter

  init(database: String) {
    let gauge = { (state: String) in Gauge(label: "postgres_pool_connections", dimensions: [("database", database), ("state", state)]) }
    idle = gauge("idle")
    leased = gauge("leased")
    opening = gauge("opening")
    waiting = Gauge(label: "postgres_pool_waiting", dimensions: [("database", database)])
    wait = Metrics.Timer(label: "postgres_pool_wait_duration", dimensions: [("database", database)])
    exhausted = Counter(label: "postgres_pool_exhausted", dimensions: [("database", database)])
    connectFailures = Counter(label: "postgres_connect_failures", dimensions: [("database", database)])
  }

  func report(_ counts: (idle: Int, leased: Int, opening: Int, waiting: Int)) {
    idle.record(counts.idle)
    leased.record(counts.leased)
    opening.record(counts.opening)
    waiting.record(counts.waiting)
  }

  func waited(_ duration: Duration, _ error: PostgresError?) {
    wait.record(duration: duration)
    if error?.code == .poolExhausted { exhausted.increment() }
  }

  func connectFailed() { connectFailures.increment() }
}
