/// How long to wait before the next contact: exponential, capped, with full jitter (M. Brooker, "Exponential Backoff And Jitter").
public struct SagaBackoff: Hashable, Sendable {
  public let baseMilliseconds: Int64
  public let capMilliseconds: Int64

  public init(baseMilliseconds: Int64 = 100, capMilliseconds: Int64 = 5_000) {
    precondition(baseMilliseconds > 0 && capMilliseconds >= baseMilliseconds, "a back-off needs 0 < base <= cap")
    self.baseMilliseconds = baseMilliseconds
    self.capMilliseconds = capMilliseconds
  }

  /// Between half of the base and the ceiling for this attempt. The lower end keeps a lucky draw from hammering a sick peer.
  /// - Parameter attempt: contacts made so far, from 1.
  public func milliseconds(after attempt: Int, using generator: inout some RandomNumberGenerator) -> Int64 {
    let doublings = min(max(attempt, 1) - 1, 40)
    let ceiling = baseMilliseconds > capMilliseconds >> doublings ? capMilliseconds : baseMilliseconds << doublings
    return Int64.random(in: baseMilliseconds / 2...ceiling, using: &generator)
  }
}
