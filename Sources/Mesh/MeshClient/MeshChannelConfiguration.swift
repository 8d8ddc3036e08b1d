public import Logging
public import MeshProtocol
public import MeshTLS
public import NIOCore
public import NIOPosix

/// Where a channel leads, whom it must find there, and every bound that it keeps.
public struct MeshChannelConfiguration: Sendable {
  /// Tried in turn.
  public var targets: [MeshAddress]
  /// The service that is meant. Anyone else at the address is refused, whatever certificate it has.
  public var expectedPeer: SPIFFEID
  /// The identity for each new connection: asked each time, so that a renewed one is taken.
  public var tls: @Sendable () -> TLSContext
  public var logger: Logger
  public var eventLoopGroup: any EventLoopGroup
  /// Stands in HELLO, for people.
  public var build: String

  /// For calls that neither state a timeout nor inherit a deadline: every call has one.
  public var defaultTimeout: Duration = .seconds(10)
  /// An inherited deadline is shortened by this, so that the caller above still gets an answer of ours.
  public var deadlineMargin: Duration = .milliseconds(5)
  /// Calls waiting for a connection or a free stream. What is over it fails at once.
  public var maximumWaitingCalls = 1000
  /// Of an answer.
  public var maximumMessageBytes = 4 << 20
  public var maximumMetadataBytes = 16 << 10
  public var maximumFrameBytes = 64 << 10
  public var connectTimeout: Duration = .seconds(3)
  public var handshakeTimeout: Duration = .seconds(5)
  public var helloTimeout: Duration = .seconds(5)
  public var keepaliveInterval: Duration = .seconds(20)
  public var keepaliveTimeout: Duration = .seconds(10)
  /// The server may send PINGs this often.
  public var minimumPingInterval: Duration = .seconds(5)
  /// Between attempts to connect: full jitter up to a ceiling that doubles from the first to the second.
  public var reconnectBase: Duration = .milliseconds(100)
  public var reconnectMaximum: Duration = .seconds(5)
  /// Of one call that no handler has seen, the first included.
  public var maximumAttempts = 4
  public var retryBase: Duration = .milliseconds(25)
  public var retryMaximum: Duration = .seconds(1)
  /// How long calls under way may take to end when the channel is shut down.
  public var drainLimit: Duration = .seconds(10)

  /// The last stream id of one connection.
  package var lastUsableStreamID: UInt32 = 0x7fff_ffff

  public init(
    targets: [MeshAddress], expectedPeer: SPIFFEID, tls: TLSContext, logger: Logger,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, build: String = ""
  ) {
    self.init(targets: targets, expectedPeer: expectedPeer, tls: { tls }, logger: logger, eventLoopGroup: eventLoopGroup, build: build)
  }

  /// - Parameter tls: a context of role client; asked for each connection.
  public init(
    targets: [MeshAddress], expectedPeer: SPIFFEID, tls: @escaping @Sendable () -> TLSContext, logger: Logger,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, build: String = ""
  ) {
    self.targets = targets
    self.expectedPeer = expectedPeer
    self.tls = tls
    self.logger = logger
    self.eventLoopGroup = eventLoopGroup
    self.build = build
  }

  var connection: ConnectionConfiguration {
    var connection = ConnectionConfiguration()
    connection.limits = ConnectionLimits(
      frameBytes: maximumFrameBytes, messageBytes: maximumMessageBytes, concurrentStreams: 1, metadataBytes: maximumMetadataBytes)
    connection.build = build
    connection.helloTimeout = helloTimeout
    connection.keepaliveInterval = keepaliveInterval
    connection.keepaliveTimeout = keepaliveTimeout
    connection.minimumPingInterval = minimumPingInterval
    connection.lastUsableStreamID = lastUsableStreamID
    return connection
  }
}
