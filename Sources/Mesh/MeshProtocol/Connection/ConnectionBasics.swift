/// What client and server have in common on stream 0: HELLO, PING and PONG, keepalive, and the queue of what is to be written.
struct ConnectionBasics: Sendable {
  typealias Instant = ContinuousClock.Instant

  enum Phase: Sendable, Hashable {
    case beforeOpen
    /// HELLO was sent; the peer's is awaited.
    case opening(helloDue: Instant)
    case open
    /// What is queued is still written; nothing is listened to any more.
    case closing
  }

  let configuration: ConnectionConfiguration
  var phase: Phase = .beforeOpen
  /// What the peer is ready to receive. The least that the protocol allows until its HELLO is there.
  private(set) var peerLimits = ConnectionLimits(
    frameBytes: ConnectionLimits.smallestFrameBytes, messageBytes: 1, concurrentStreams: 0, metadataBytes: 0)
  var outbound = OutboundQueue()
  private var keepalive: Keepalive?
  private var pings: RateBound
  private var emptyFrames: RateBound
  /// PINGs whose PONG is still to come; never more than `awaitedPongsLimit`.
  private var awaitedPongs: [UInt64] = []

  /// Of a drain's PING; keepalive counts from 1.
  static let drainPing = UInt64.max
  private static let awaitedPongsLimit = 8

  init(_ configuration: ConnectionConfiguration) {
    self.configuration = configuration
    pings = RateBound(burst: configuration.pingBurst, interval: configuration.minimumPingInterval)
    emptyFrames = RateBound(burst: configuration.emptyFrameBurst, interval: configuration.emptyFrameInterval)
  }

  var inboundFrameBytes: Int {
    if case .opening = phase { return min(configuration.limits.frameBytes, ConnectionLimits.smallestFrameBytes) }
    return configuration.limits.frameBytes
  }

  /// The most that fits into the body of one DATA for the peer.
  var chunkBytes: Int { peerLimits.frameBytes - ConnectionLimits.chunkOverheadBytes }

  var wakeUp: Instant? {
    switch phase {
    case .opening(let helloDue): helloDue
    case .open: keepalive?.wakeUp
    case .beforeOpen, .closing: nil
    }
  }

  mutating func connectionOpened(at now: Instant) {
    phase = .opening(helloDue: now + configuration.helloTimeout)
    outbound.append(configuration.hello())
  }

  /// Any frame but a HELLO is a fault before the peer's HELLO.
  mutating func helloReceived(_ frame: Frame, at now: Instant) throws(PeerFault) -> Frame.Hello {
    guard case .hello(let hello) = frame.kind else {
      throw PeerFault(.frameBeforeHello, "\(frame.kindName) came before HELLO, which must be the first frame")
    }
    guard frame.streamID == 0 else { throw PeerFault(.wrongStream, "HELLO on stream \(frame.streamID); it belongs on stream 0") }
    guard hello.minimumVersion <= 1, hello.maximumVersion >= 1 else {
      throw PeerFault(
        .noCommonVersion, "the peer speaks versions \(hello.minimumVersion) to \(hello.maximumVersion), this side speaks 1")
    }
    guard let limits = hello.limits else { throw PeerFault(.unusableLimits, "HELLO without limits") }
    if let defect = limits.defect { throw PeerFault(.unusableLimits, "HELLO with limits that cannot be used: \(defect)") }
    peerLimits = limits
    phase = .open
    keepalive = Keepalive(
      interval: max(configuration.keepaliveInterval, hello.minimumPingInterval), timeout: configuration.keepaliveTimeout, startedAt: now)
    return hello
  }

  mutating func frameReceived(at now: Instant) { keepalive?.frameReceived(at: now) }

  /// Frames that both sides answer alike. False: not one of them.
  mutating func commonFrameReceived(_ frame: Frame, at now: Instant) throws(PeerFault) -> Bool {
    switch frame.kind {
    case .hello: throw PeerFault(.secondHello, "a second HELLO; it is sent once")
    case .ping(let opaque):
      guard frame.streamID == 0 else { throw PeerFault(.wrongStream, "PING on stream \(frame.streamID); it belongs on stream 0") }
      guard pings.admits(at: now) else {
        throw PeerFault(
          .tooManyPings,
          "PINGs more often than every \(configuration.minimumPingInterval.wholeMilliseconds) ms, which HELLO asked for")
      }
      outbound.append(Frame(0, .pong(opaque: opaque)))
    case .pong(let opaque):
      guard frame.streamID == 0 else { throw PeerFault(.wrongStream, "PONG on stream \(frame.streamID); it belongs on stream 0") }
      guard let index = awaitedPongs.firstIndex(of: opaque) else { throw PeerFault(.unaskedPong, "a PONG to no PING of this side") }
      awaitedPongs.remove(at: index)
    case .window(let credit):
      guard credit > 0 else { throw PeerFault(.zeroCredit, "WINDOW with a credit of 0") }
    case .unknown(let mustUnderstand):
      guard !mustUnderstand else {
        throw PeerFault(.unknownFrame, "a frame of a kind that this side does not know, marked as one that must be understood")
      }
    case .open, .data, .status, .cancel, .goAway, .nack: return false
    }
    return true
  }

  /// A DATA that carries nothing and ends nothing is suspicious if there are many.
  mutating func chunkReceived(_ chunk: Frame.Chunk, at now: Instant) throws(PeerFault) {
    guard chunk.body.isEmpty, !chunk.endOfMessage, !chunk.endOfStream else { return }
    guard emptyFrames.admits(at: now) else { throw PeerFault(.tooManyEmptyFrames, "too many DATA frames without a body") }
  }

  mutating func sendPing(_ opaque: UInt64) {
    if awaitedPongs.count == Self.awaitedPongsLimit { awaitedPongs.removeFirst() }
    awaitedPongs.append(opaque)
    outbound.append(Frame(0, .ping(opaque: opaque)))
  }

  /// The end that the passing of time brings on stream 0, if any; a PING that is due is queued.
  mutating func timePassed(at now: Instant) -> CloseCause? {
    switch phase {
    case .opening(let helloDue): return now >= helloDue ? .helloTimedOut : nil
    case .open:
      switch keepalive?.timePassed(at: now) {
      case .sendPing(let opaque): sendPing(opaque)
      case .peerIsGone: return .peerIsGone
      case nil: break
      }
      return nil
    case .beforeOpen, .closing: return nil
    }
  }
}
