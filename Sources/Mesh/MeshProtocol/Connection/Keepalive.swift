/// Finds out that a peer has gone: a PING when nothing was heard for a while, the end when nothing is heard after it.
package struct Keepalive: Sendable {
  /// What the silence calls for.
  package enum Step: Sendable, Hashable {
    case sendPing(opaque: UInt64)
    case peerIsGone
  }

  private let interval: Duration
  private let timeout: Duration
  private var heard: ContinuousClock.Instant
  /// Set while a PING waits for any sign of life.
  private var asked: ContinuousClock.Instant?
  private var count: UInt64 = 0

  /// - Parameter interval: of silence before a PING; never below what the peer allows.
  package init(interval: Duration, timeout: Duration, startedAt now: ContinuousClock.Instant) {
    self.interval = interval
    self.timeout = timeout
    heard = now
  }

  package var wakeUp: ContinuousClock.Instant { asked.map { $0 + timeout } ?? heard + interval }

  /// Any whole frame is a sign of life; a part of one is not.
  package mutating func frameReceived(at now: ContinuousClock.Instant) {
    heard = now
    asked = nil
  }

  package mutating func timePassed(at now: ContinuousClock.Instant) -> Step? {
    guard now >= wakeUp else { return nil }
    if asked != nil { return .peerIsGone }
    asked = now
    count += 1
    return .sendPing(opaque: count)
  }
}
