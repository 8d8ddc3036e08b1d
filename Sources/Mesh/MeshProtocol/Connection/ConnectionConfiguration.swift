/// What both connection machines are told: limits, intervals, bounds. The defaults are the protocol's recommendations.
package struct ConnectionConfiguration: Sendable, Hashable {
  /// What this side is ready to receive.
  package var limits = ConnectionLimits()
  /// Of this program; stands in HELLO for the people who look at a connection.
  package var build = ""
  /// From the first byte after the TLS handshake to the peer's HELLO.
  package var helloTimeout: Duration = .seconds(5)
  /// Silence before a PING, and how long to wait after it.
  package var keepaliveInterval: Duration = .seconds(20)
  package var keepaliveTimeout: Duration = .seconds(10)
  /// The peer's PINGs may come this often, with `pingBurst` at once.
  package var minimumPingInterval: Duration = .seconds(5)
  package var pingBurst = 3
  /// The peer's CANCELs: a burst, then one each interval.
  package var resetBurst = 500
  package var resetInterval: Duration = .milliseconds(5)
  /// DATA frames without a body that end nothing.
  package var emptyFrameBurst = 100
  package var emptyFrameInterval: Duration = .milliseconds(100)
  /// Between the two GOAWAYs of a drain, if the PONG that is waited for does not come.
  package var drainAnnouncement: Duration = .seconds(1)
  /// From the begin of a drain to the end of patience with calls that run.
  package var drainLimit: Duration = .seconds(30)
  /// The last stream id that a client uses on one connection.
  package var lastUsableStreamID = ConnectionLimits.largestStreamID

  package init() {}

  /// The HELLO that says so.
  func hello() -> Frame {
    Frame(0, .hello(.init(limits: limits, minimumPingInterval: minimumPingInterval, build: build)))
  }
}
