public import Logging
internal import MeshProtocol
public import MeshTLS
public import NIOCore
public import NIOPosix
internal import MeshTransport

/// How a server listens, whom it lets in, and every bound that it keeps.
public struct MeshServerConfiguration: Sendable {
  public var host: String
  /// 0: any free port; see `MeshServer.boundPort`.
  public var port: Int
  /// The identity for each new connection: asked each time, so that a renewed one is taken.
  public var tls: @Sendable () -> TLSContext
  public var policy: Policy
  public var logger: Logger
  public var eventLoopGroup: any EventLoopGroup
  /// Stands in HELLO, for people.
  public var build: String

  public var maximumConnections = 1000
  /// Connections whose TLS handshake is not done; they cost memory and have proved nothing.
  public var maximumHandshakes = 256
  /// Handlers running at once, over all connections. What is over it gets a NACK at once.
  public var maximumHandlers = 1000
  public var maximumStreamsPerConnection = 100
  /// Of a request.
  public var maximumMessageBytes = 4 << 20
  /// Methods with a smaller limit of their own, by path.
  public var messageBytesByMethod: [String: Int] = [:]
  public var maximumMetadataBytes = 16 << 10
  public var maximumFrameBytes = 64 << 10
  public var handshakeTimeout: Duration = .seconds(5)
  public var helloTimeout: Duration = .seconds(5)
  public var keepaliveInterval: Duration = .seconds(20)
  public var keepaliveTimeout: Duration = .seconds(10)
  /// Clients may send PINGs this often.
  public var minimumPingInterval: Duration = .seconds(5)
  /// From the begin of a graceful shutdown until calls that still run are cancelled.
  public var drainLimit: Duration = .seconds(30)
  /// How long the callback for a denied call may take before the caller is answered all the same.
  public var denialAuditLimit: Duration = .seconds(5)

  public init(
    host: String = "127.0.0.1", port: Int, tls: TLSContext, policy: Policy, logger: Logger,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, build: String = ""
  ) {
    self.init(host: host, port: port, tls: { tls }, policy: policy, logger: logger, eventLoopGroup: eventLoopGroup, build: build)
  }

  /// - Parameter tls: a context of role server; asked for each connection.
  public init(
    host: String = "127.0.0.1", port: Int, tls: @escaping @Sendable () -> TLSContext, policy: Policy, logger: Logger,
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, build: String = ""
  ) {
    self.host = host
    self.port = port
    self.tls = tls
    self.policy = policy
    self.logger = logger
    self.eventLoopGroup = eventLoopGroup
    self.build = build
  }

  var connection: ConnectionConfiguration {
    var connection = ConnectionConfiguration()
    connection.limits = ConnectionLimits(
      frameBytes: maximumFrameBytes, messageBytes: maximumMessageBytes, concurrentStreams: maximumStreamsPerConnection,
      metadataBytes: maximumMetadataBytes)
    connection.build = build
    connection.helloTimeout = helloTimeout
    connection.keepaliveInterval = keepaliveInterval
    connection.keepaliveTimeout = keepaliveTimeout
    connection.minimumPingInterval = minimumPingInterval
    connection.drainLimit = drainLimit
    return connection
  }
}
