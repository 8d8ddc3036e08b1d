internal import Logging
public import MeshProtocol
internal import MeshTLS
internal import MeshTransport
internal import Metrics
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle
internal import Synchronization

/// Serves methods to the mesh: listens, authenticates with TLS, asks the policy before any handler, bounds everything, drains gracefully.
///
/// `run()` returns after a graceful shutdown, when the calls that were accepted have been answered.
public final class MeshServer: Service {
  private enum Phase {
    case new
    case starting
    case listening(any Channel)
    case stopped
  }

  private struct State {
    var phase = Phase.new
    var port: Int?
    var portWaiters: [CheckedContinuation<Int?, Never>] = []
    var isDrainWanted = false
  }

  private let configuration: MeshServerConfiguration
  private let methods: [String: RPCMethod]
  private let shared: ServerConnection.Shared
  private let state = Mutex(State())

  /// - Parameter onDenied: called, and awaited, before a denied caller is answered: the place for an audit record.
  /// - Throws: what makes the server unable to serve as told: two handlers for a method, limits that no client could use, an identity
  ///   that is not a server's or not of the policy's trust domain.
  public init(
    configuration: MeshServerConfiguration, methods: [RPCMethod], onDenied: @escaping @Sendable (DeniedCall) async -> Void = { _ in }
  ) throws(MeshServerError) {
    self.configuration = configuration
    var byPath: [String: RPCMethod] = [:]
    for method in methods {
      guard byPath.updateValue(method, forKey: method.descriptor.path) == nil else {
        throw MeshServerError(.duplicateMethod, "two handlers for \(method.descriptor.path)")
      }
    }
    self.methods = byPath
    if let defect = configuration.connection.limits.defect { throw MeshServerError(.unusableLimits, defect) }
    let tls = configuration.tls()
    guard tls.role == .server else { throw MeshServerError(.wrongRole, "the TLS context is a client's; load it with role .server") }
    guard tls.identity.trustDomain == configuration.policy.trustDomain || configuration.policy == .denyAll else {
      throw MeshServerError(
        .wrongTrustDomain,
        "the policy is of the trust domain '\(configuration.policy.trustDomain)', this service's identity is \(tls.identity)")
    }
    shared = ServerConnection.Shared(
      configuration: configuration,
      runner: CallRunner(
        methods: byPath, logger: configuration.logger, metrics: CallMetrics(side: .server),
        denialAuditLimit: configuration.denialAuditLimit, onDenied: onDenied),
      slots: HandlerSlots(limit: configuration.maximumHandlers),
      registry: ConnectionRegistry(
        maximumConnections: configuration.maximumConnections, maximumHandshakes: configuration.maximumHandshakes))
  }

  /// The port that is listened on; nil before and after.
  public var boundPort: Int? { state.withLock { $0.port } }

  /// Waits until the server listens.
  /// - Returns: the port, or nil if it could not listen or has stopped.
  public func listening() async -> Int? {
    await withCheckedContinuation { continuation in
      let known = state.withLock { state -> Int?? in
        if let port = state.port { return .some(port) }
        if case .stopped = state.phase { return .some(nil) }
        state.portWaiters.append(continuation)
        return nil
      }
      if let known { continuation.resume(returning: known) }
    }
  }

  /// Calls that run now.
  public var runningHandlers: Int { shared.slots.taken }
  public var connectionCount: Int { shared.registry.count }

  public func run() async throws {
    let isFirst = state.withLock { state in
      guard case .new = state.phase else { return false }
      state.phase = .starting
      return true
    }
    guard isFirst else { throw MeshServerError(.alreadyRun, "a server runs once") }
    defer { stopped() }
    let listener: any Channel
    do {
      listener = try await bootstrap().bind(host: configuration.host, port: configuration.port).get()
    } catch {
      throw MeshServerError(
        .cannotListen, "cannot listen on \(configuration.host):\(configuration.port): \(error). Is the port taken?")
    }
    let isDrainWanted = listens(listener)
    if isDrainWanted { beginDrain() }
    try await withGracefulShutdownHandler {
      try await withTaskCancellationHandler {
        try? await listener.closeFuture.get()
        await shared.registry.allGone()
        try await handlersGone()
      } onCancel: {
        listener.close(promise: nil)
        shared.registry.drain { $0.closeAtOnce() }
      }
    } onGracefulShutdown: {
      self.beginDrain()
    }
  }

  /// Begins a graceful shutdown: no new connections; on those that are open, calls that were accepted are finished, and new ones told to
  /// go elsewhere. `run()` returns when that is done, or its limit has passed.
  public func beginDrain() {
    let listener = state.withLock { state -> (any Channel)? in
      state.isDrainWanted = true
      if case .listening(let channel) = state.phase { return channel }
      return nil
    }
    guard let listener else { return }
    configuration.logger.info("mesh.draining", metadata: ["connections": "\(connectionCount)", "calls": "\(runningHandlers)"])
    listener.close(promise: nil)
    shared.registry.drain { $0.drain("the service is shutting down") }
  }

  // MARK: -

  private func listens(_ listener: any Channel) -> Bool {
    let port = listener.localAddress?.port
    let (waiters, isDrainWanted) = state.withLock { state in
      state.phase = .listening(listener)
      state.port = port
      defer { state.portWaiters = [] }
      return (state.portWaiters, state.isDrainWanted)
    }
    for waiter in waiters { waiter.resume(returning: port) }
    configuration.logger.info("mesh.listening", metadata: ["host": "\(configuration.host)", "port": "\(port ?? 0)"])
    return isDrainWanted
  }

  private func stopped() {
    let waiters = state.withLock { state in
      state.phase = .stopped
      state.port = nil
      defer { state.portWaiters = [] }
      return state.portWaiters
    }
    for waiter in waiters { waiter.resume(returning: nil) }
  }

  /// Handlers were cancelled when their connections closed. They have a moment to notice.
  private func handlersGone() async throws {
    guard await shared.slots.allFree(within: .seconds(5)) else {
      throw MeshServerError(.handlersLeft, "\(shared.slots.taken) handlers have not returned 5 s after they were cancelled")
    }
  }

  private func bootstrap() -> ServerBootstrap {
    let shared = shared
    let methods = methods
    return ServerBootstrap(group: configuration.eventLoopGroup)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.writeBufferWaterMark, value: SocketOptions.waterMark)
      .childChannelOption(.recvAllocator, value: SocketOptions.readAllocator)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try Self.configure(channel, shared: shared, methods: methods) }
      }
  }

  private static func configure(_ channel: any Channel, shared: ServerConnection.Shared, methods: [String: RPCMethod]) throws {
    let configuration = shared.configuration
    let peer = PeerBox()
    let connection = ServerConnection(id: shared.registry.newID(), channel: channel, shared: shared, peer: peer)
    var logger = configuration.logger
    logger[metadataKey: "remote"] = "\(channel.remoteAddress.map { "\($0)" } ?? "?")"
    if let refusal = shared.registry.add(NIOLoopBound(connection, eventLoop: channel.eventLoop), connection.id) {
      Counter(label: "mesh_connections_refused_total", dimensions: [("reason", refusal.rawValue)]).increment()
      logger.warning("mesh.connection_refused", metadata: ["reason": "\(refusal.rawValue)"])
      throw ChannelError.ioOnClosedChannel
    }
    let id = connection.id
    // The registry holds the connection until its channel is gone, whatever happens to the handlers.
    channel.closeFuture.whenComplete { _ in shared.registry.remove(id) }
    let machine = ServerConnectionStateMachine(configuration.connection) { open in
      admission(of: open, peer: peer, configuration: configuration, methods: methods)
    }
    let handler = ServerConnection.Handler(
      machine: machine, owner: connection, observer: ConnectionObserver(role: .server, logger: logger))
    connection.attach(handler)
    let engine = try TLSEngine(context: configuration.tls())
    try channel.pipeline.syncOperations.addHandlers([
      TLSHandler(engine: engine, handshakeTimeout: .nanoseconds(configuration.handshakeTimeout.wholeNanoseconds)), handler,
    ])
  }

  /// The same method value is judged and routed; the policy comes first, so that a stranger does not learn what exists.
  private static func admission(
    of open: Frame.Open, peer: PeerBox, configuration: MeshServerConfiguration, methods: [String: RPCMethod]
  ) -> ServerConnectionStateMachine.Admission {
    guard let peer = peer.id, configuration.policy.allows(peer, open.method) else { return .denied }
    guard methods[open.method] != nil else {
      return .refused(RPCError(.unimplemented, "this service has no method \(open.method)", origin: .runtime, executed: .no))
    }
    return .accepted(messageBytes: configuration.messageBytesByMethod[open.method] ?? configuration.maximumMessageBytes)
  }
}
