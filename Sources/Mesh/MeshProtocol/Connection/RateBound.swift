/// How often something may happen: a burst, then one each interval (the generic cell rate algorithm, ITU-T I.371).
package struct RateBound: Sendable {
  private let interval: Duration
  private let tolerance: Duration
  /// When the next one would be exactly on time. Nil before the first.
  private var due: ContinuousClock.Instant?

  /// - Parameter burst: how many may come at once; at least 1.
  package init(burst: Int, interval: Duration) {
    self.interval = interval
    tolerance = interval * max(0, burst - 1)
  }

  /// Counts one. False: it came too soon, and is not counted.
  package mutating func admits(at now: ContinuousClock.Instant) -> Bool {
    let due = max(self.due ?? now, now)
    guard due - now <= tolerance else { return false }
    self.due = due + interval
    return true
  }
}
