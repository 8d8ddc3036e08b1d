internal import Money

/// Compares our wall clock with PostgreSQL's without asking each time: from the last answer on, a steady clock counts.
struct ClockGuard: Sendable {
  /// Microseconds that the clocks may be apart.
  static let tolerance: Int64 = 5_000_000

  private var anchor: (database: Timestamp, instant: ContinuousClock.Instant)?

  /// PostgreSQL said just now that it is `database` o'clock.
  mutating func databaseSaid(_ database: Timestamp, at instant: ContinuousClock.Instant) { anchor = (database, instant) }

  /// How far `wall` is ahead of PostgreSQL's clock, in microseconds; nil if that was never asked.
  func skew(of wall: Timestamp, at instant: ContinuousClock.Instant) -> Int64? {
    guard let anchor else { return nil }
    let (seconds, attoseconds) = anchor.instant.duration(to: instant).components
    let elapsed = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    return wall.microseconds - (anchor.database.microseconds + elapsed)
  }

  func isTolerable(_ wall: Timestamp, at instant: ContinuousClock.Instant) -> Bool {
    skew(of: wall, at: instant).map { abs($0) <= Self.tolerance } ?? false
  }
}
