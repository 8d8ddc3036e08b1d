/// Exponential back-off with full jitter: any wait up to a ceiling that doubles (M. Brooker, "Exponential Backoff And Jitter", 2015).
package struct Backoff: Sendable, Hashable {
  package var base: Duration
  package var maximum: Duration

  package init(base: Duration, maximum: Duration) {
    self.base = base
    self.maximum = maximum
  }

  /// - Parameter attempt: 1 for the wait before the second try.
  package func wait(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
    let ceiling = min(maximum, base * (1 << min(max(0, attempt - 1), 20)))
    return .nanoseconds(Int64.random(in: 0...max(0, ceiling.wholeNanoseconds), using: &generator))
  }
}
