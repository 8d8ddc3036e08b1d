/// What a connection machine wants done. Frames are not among them: they are fetched with `nextFrame` when there is room for them.
package enum ConnectionEffect<Event: Sendable & Hashable>: Sendable, Hashable {
  /// For the owner of the connection: a call to start, a reply to hand over.
  case event(Event)
  /// Write what `nextFrame` still gives, then close.
  case close(CloseCause)
  /// Nothing to do; to be counted.
  case dropped(LegitimateDrop)
  /// *This* program called the machine in a way that makes no sense. Logged as our bug; the connection goes on if it can.
  case misused(String)
}

/// Why a connection ends.
package enum CloseCause: Sendable, Hashable, CustomStringConvertible {
  case peerFault(PeerFault)
  /// Nothing was left to do on a connection that was going away.
  case drained
  /// The drain's own limit passed with calls still running.
  case drainLimitPassed(callsRunning: Int)
  /// No HELLO within the limit.
  case helloTimedOut
  /// Silence, also after a PING.
  case peerIsGone
  /// The bytes stopped: closed or reset by the peer or the network, or refused by TLS.
  case connectionLost(String)

  /// The metric's label.
  package var label: String {
    switch self {
    case .peerFault(let fault): fault.kind.rawValue
    case .drained: "drained"
    case .drainLimitPassed: "drain_limit_passed"
    case .helloTimedOut: "hello_timed_out"
    case .peerIsGone: "keepalive_timed_out"
    case .connectionLost: "connection_lost"
    }
  }

  package var description: String {
    switch self {
    case .peerFault(let fault): "the peer broke the protocol: \(fault)"
    case .drained: "drained"
    case .drainLimitPassed(let running): "the drain's limit passed with \(running) calls running"
    case .helloTimedOut: "the peer sent no HELLO in time"
    case .peerIsGone: "nothing was heard from the peer, not after a PING either"
    case .connectionLost(let why): why
    }
  }
}

/// What the one driver of connections (MeshTransport) needs of a machine: facts in, effects and frames out, time handed in.
package protocol ConnectionStateMachine: Sendable {
  associatedtype Event: Sendable & Hashable
  typealias Effects = [ConnectionEffect<Event>]

  /// The peer is authenticated; bytes can flow.
  mutating func connectionOpened(at now: ContinuousClock.Instant) -> Effects
  mutating func frameReceived(_ frame: Frame, at now: ContinuousClock.Instant) -> Effects
  /// The bytes were no frame.
  mutating func frameRejected(_ error: FrameError, at now: ContinuousClock.Instant) -> Effects
  mutating func timePassed(at now: ContinuousClock.Instant) -> Effects
  mutating func connectionLost(_ why: String) -> Effects

  /// The next frame to write, or nil. Fetched only while the socket takes bytes: what waits, waits in here, where it is bounded.
  mutating func nextFrame(at now: ContinuousClock.Instant) -> Frame?

  /// When `timePassed` must be called at the latest. It may be earlier than needed.
  var wakeUp: ContinuousClock.Instant? { get }
  /// The largest frame that may be received now.
  var inboundFrameBytes: Int { get }
  /// So many replies wait to be written that nothing more should be read for now.
  var isBackedUp: Bool { get }
}
