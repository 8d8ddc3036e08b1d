internal import DequeModule
internal import Logging
internal import MeshProtocol
internal import MeshTLS
internal import MeshTransport
internal import NIOCore
internal import NIOPosix

/// A channel's state, on one event loop: the connection in use, those that are leaving, and the calls that wait.
final class ChannelCore {
  private enum Link {
    /// Nothing is connected, and nobody has asked.
    case idle
    case connecting
    case ready(ClientConnection)
    /// The last attempt failed; the next is not yet due.
    case pausing(why: RPCError)
    case shutDown
  }

  let eventLoop: any EventLoop
  private let configuration: MeshChannelConfiguration
  private let backoff: Backoff
  private var link = Link.idle
  /// The connection that is being made, until it is ready.
  private var connecting: ClientConnection?
  /// Connections with calls under way that take no new ones.
  private var leaving: [ObjectIdentifier: ClientConnection] = [:]
  private var waiting: Deque<PendingCall> = []
  private var placed: [PendingCall.Ticket: PendingCall] = [:]
  private var failures = 0
  private var lastFailure: RPCError?
  private var nextTarget = 0
  private var target: MeshAddress
  private var pause: Scheduled<Void>?
  private var timer: (due: ContinuousClock.Instant, scheduled: Scheduled<Void>)?
  private var goneWaiters: [EventLoopPromise<Void>] = []

  init(configuration: MeshChannelConfiguration, eventLoop: any EventLoop) {
    self.configuration = configuration
    self.eventLoop = eventLoop
    target = configuration.targets[0]
    backoff = Backoff(base: configuration.reconnectBase, maximum: configuration.reconnectMaximum)
  }

  // MARK: - Calls

  func submit(_ call: PendingCall) {
    if call.ticket.isCancelled { return call.complete(.failure(Self.cancelledBeforeSending)) }
    if let deadline = call.request.deadline, deadline <= .now { return call.complete(.failure(expiredBeforeSending)) }
    switch link {
    case .ready(let connection) where waiting.isEmpty && connection.freeSlots > 0: start(call, on: connection)
    case .pausing(let why) where !call.waitsForReady: call.complete(.failure(why))
    case .shutDown: call.complete(.failure(Self.closed))
    case .idle:
      enqueue(call)
      connect()
    case .connecting, .ready, .pausing: enqueue(call)
    }
  }

  func cancel(_ ticket: PendingCall.Ticket) {
    guard let call = placed[ticket] else { return }
    switch call.place {
    case .onStream(let connection, let streamID): connection.cancel(streamID)
    case .waiting:
      waiting.removeAll { $0 === call }
      finish(call, .failure(Self.cancelledBeforeSending))
    case .nowhere: break
    }
  }

  /// The caller has its answer.
  func forget(_ ticket: PendingCall.Ticket) { placed[ticket] = nil }

  private func start(_ call: PendingCall, on connection: ClientConnection) {
    placed[call.ticket] = call
    connection.start(call)
    if case .nowhere = call.place { placed[call.ticket] = nil }
  }

  private func enqueue(_ call: PendingCall) {
    guard waiting.count < configuration.maximumWaitingCalls else {
      return call.complete(
        .failure(
          RPCError(
            .resourceExhausted, "\(waiting.count) calls already wait for \(configuration.expectedPeer.path)", origin: .runtime,
            executed: .no)))
    }
    call.place = .waiting
    placed[call.ticket] = call
    waiting.append(call)
    if let deadline = call.request.deadline { setTimer(deadline) }
  }

  private func finish(_ call: PendingCall, _ result: Result<RPCReply, RPCError>) {
    placed[call.ticket] = nil
    call.complete(result)
  }

  /// There may be room for calls that wait.
  func slotFreed() {
    guard !waiting.isEmpty, case .ready(let connection) = link else { return }
    while connection.freeSlots > 0, let call = waiting.popFirst() { start(call, on: connection) }
  }

  private func setTimer(_ due: ContinuousClock.Instant) {
    if let timer, timer.due <= due { return }
    timer?.scheduled.cancel()
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let scheduled = eventLoop.scheduleTask(in: .until(due)) { bound.value.deadlinesPassed() }
    timer = (due, scheduled)
  }

  private func deadlinesPassed() {
    timer = nil
    let now = ContinuousClock.now
    var late: [PendingCall] = []
    waiting.removeAll { call in
      guard let deadline = call.request.deadline, deadline <= now else { return false }
      late.append(call)
      return true
    }
    for call in late { finish(call, .failure(expiredBeforeSending)) }
    if let next = waiting.lazy.compactMap(\.request.deadline).min() { setTimer(next) }
  }

  // MARK: - Connections

  private func connect() {
    link = .connecting
    target = configuration.targets[nextTarget]
    nextTarget = (nextTarget + 1) % configuration.targets.count
    var logger = configuration.logger
    logger[metadataKey: "target"] = "\(target)"
    let connection = ClientConnection(core: self)
    connecting = connection
    let engine: TLSEngine
    do throws(TLSError) {
      engine = try TLSEngine(context: configuration.tls(), expecting: configuration.expectedPeer)
    } catch {
      return connectFailed(failure: error, why: "\(error)")
    }
    let handler = ClientConnection.Handler(
      machine: ClientConnectionStateMachine(configuration.connection), owner: connection,
      observer: ConnectionObserver(role: .client, logger: logger))
    let tls = TLSHandler(engine: engine, handshakeTimeout: .nanoseconds(configuration.handshakeTimeout.wholeNanoseconds))
    let bound = NIOLoopBound((self, connection, handler, tls), eventLoop: eventLoop)
    ClientBootstrap(group: eventLoop)
      .connectTimeout(.nanoseconds(configuration.connectTimeout.wholeNanoseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.writeBufferWaterMark, value: SocketOptions.waterMark)
      .channelOption(.recvAllocator, value: SocketOptions.readAllocator)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let (_, connection, handler, tls) = bound.value
          connection.attach(handler, channel)
          try channel.pipeline.syncOperations.addHandlers([tls, handler])
        }
      }
      .connect(host: target.host, port: target.port)
      .whenFailure { error in
        let (core, connection, _, _) = bound.value
        guard core.connecting === connection else { return }
        core.connectFailed(failure: error, why: "cannot connect to \(core.target): \(error)")
      }
  }

  private func connectFailed(failure: (any Error)?, why: String) {
    connecting = nil
    failures += 1
    guard !isShutDown else { return checkGone() }
    // A peer that is not whom we expect, or that refuses us, is no matter of trying again.
    let isIdentity = (failure as? TLSError)?.isAboutIdentity ?? false
    let error = RPCError(
      isIdentity ? .unauthenticated : .unavailable, "\(configuration.expectedPeer.path): \(why)", origin: .transport, executed: .no)
    configuration.logger.warning(
      "mesh.connect_failed",
      metadata: [
        "peer": "\(configuration.expectedPeer)", "target": "\(target)", "attempt": "\(failures)",
        "reason": isIdentity ? "identity_refused" : "not_reachable", "detail": "\(why)",
      ])
    link = .pausing(why: error)
    lastFailure = error
    let kept = waiting
    waiting = []
    for call in kept {
      if call.waitsForReady { waiting.append(call) } else { finish(call, .failure(error)) }
    }
    // Every other target gets its turn before anyone pauses.
    let isRoundOver = failures % configuration.targets.count == 0
    var generator = SystemRandomNumberGenerator()
    let wait = isRoundOver ? backoff.wait(attempt: failures / configuration.targets.count, using: &generator) : .zero
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    pause = eventLoop.scheduleTask(in: .nanoseconds(wait.wholeNanoseconds)) { bound.value.pauseEnded() }
  }

  private func pauseEnded() {
    pause = nil
    guard case .pausing = link else { return }
    link = .idle
    if !waiting.isEmpty { connect() }
  }

  func connectionBecameReady(_ connection: ClientConnection) {
    guard connecting === connection else { return }
    connecting = nil
    lastFailure = nil
    guard !isShutDown else {
      leaving[ObjectIdentifier(connection)] = connection
      return connection.drain("the channel was shut down")
    }
    link = .ready(connection)
    slotFreed()
  }

  func connectionRetired(_ connection: ClientConnection, _ reason: String) {
    guard case .ready(let current) = link, current === connection else { return }
    leaving[ObjectIdentifier(connection)] = connection
    link = .idle
    configuration.logger.debug(
      "mesh.connection_retired", metadata: ["peer": "\(configuration.expectedPeer)", "detail": "\(reason)"])
    if !waiting.isEmpty { connect() }
  }

  func connectionClosed(_ connection: ClientConnection, _ cause: CloseCause, _ failure: (any Error)?) {
    leaving[ObjectIdentifier(connection)] = nil
    if connecting === connection { return connectFailed(failure: failure, why: "\(cause)") }
    if connection.hasServed { failures = 0 }
    guard case .ready(let current) = link, current === connection else { return checkGone() }
    link = .idle
    // A connection that was of no use is a failed attempt: else a peer that accepts and closes would be asked without pause.
    if !connection.hasServed { return connectFailed(failure: failure, why: "\(cause)") }
    if !waiting.isEmpty { connect() }
  }

  // MARK: - The end

  private var isShutDown: Bool { if case .shutDown = link { true } else { false } }

  /// No more calls; those that wait fail, those under way may end. The promise succeeds when every connection is gone.
  func shutDown(_ promise: EventLoopPromise<Void>?) {
    if let promise { goneWaiters.append(promise) }
    guard !isShutDown else { return checkGone() }
    if case .ready(let connection) = link { leaving[ObjectIdentifier(connection)] = connection }
    link = .shutDown
    pause?.cancel()
    timer?.scheduled.cancel()
    let calls = waiting
    waiting = []
    for call in calls { finish(call, .failure(Self.closed)) }
    for connection in leaving.values { connection.drain("the client is shutting down") }
    connecting?.closeAtOnce()
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    eventLoop.scheduleTask(in: .nanoseconds(configuration.drainLimit.wholeNanoseconds)) { bound.value.closeAtOnce() }
    checkGone()
  }

  func closeAtOnce() {
    for connection in leaving.values { connection.closeAtOnce() }
    connecting?.closeAtOnce()
  }

  private func checkGone() {
    guard isShutDown, leaving.isEmpty, connecting == nil else { return }
    let waiters = goneWaiters
    goneWaiters = []
    for waiter in waiters { waiter.succeed() }
  }

  // MARK: - Errors

  private static let cancelledBeforeSending = RPCError(
    .cancelled, "cancelled by the caller before the call was sent", origin: .runtime, executed: .no)
  private var expiredBeforeSending: RPCError {
    RPCError(
      .deadlineExceeded, "the deadline passed before the call could be sent" + (lastFailure.map { "; \($0.message)" } ?? ""),
      origin: .runtime, executed: .no)
  }
  private static let closed = RPCError(.unavailable, "the channel is shut down", origin: .runtime, executed: .no)
}

extension TLSError {
  /// About who somebody is, not about the way there.
  var isAboutIdentity: Bool {
    switch reason {
    case .truncated, .notEstablished, .other, .protocolVersion, .alpn, .keyUpdateFlood: false
    default: true
    }
  }
}
