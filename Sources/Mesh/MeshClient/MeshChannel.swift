internal import Logging
public import MeshProtocol
internal import MeshTLS
internal import MeshTransport
internal import NIOCore
public import ServiceLifecycle
internal import Synchronization
internal import Tracing

/// The way to one service of the mesh: a connection made when it is needed and remade when it is lost, shared by all calls.
///
/// A call inherits the deadline of the call it is made for, passes on its trace, and is tried again only where no handler has seen it.
/// `run()` keeps the channel until a graceful shutdown; calls may be made before.
public final class MeshChannel: RPCChannel, Service {
  private let configuration: MeshChannelConfiguration
  private let eventLoop: any EventLoop
  private let core: NIOLoopBoundBox<ChannelCore>
  private let metrics = CallMetrics(side: .client)
  private let budget = Mutex(RetryBudget())
  private let backoff: Backoff

  public init(configuration: MeshChannelConfiguration) {
    precondition(!configuration.targets.isEmpty, "a channel needs a target")
    if let defect = configuration.connection.limits.defect { preconditionFailure("a channel's limits: \(defect)") }
    self.configuration = configuration
    let eventLoop = configuration.eventLoopGroup.next()
    self.eventLoop = eventLoop
    core = .makeBoxSendingValue(ChannelCore(configuration: configuration, eventLoop: eventLoop), eventLoop: eventLoop)
    backoff = Backoff(base: configuration.retryBase, maximum: configuration.retryMaximum)
  }

  deinit {
    // A channel that was dropped without a word leaves no connection behind.
    let core = core
    eventLoop.execute { core.value.shutDown(nil) }
  }

  /// Keeps the channel until the service group shuts down, then lets calls under way end.
  public func run() async throws {
    try? await gracefulShutdown()
    await shutDown()
  }

  /// No more calls. Returns when those under way have ended, or the drain's limit has passed.
  public func shutDown() async {
    let promise = eventLoop.makePromise(of: Void.self)
    let core = core
    eventLoop.execute { core.value.shutDown(promise) }
    // The promise only ever succeeds.
    try? await promise.futureResult.get()
  }

  public func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply {
    let started = ContinuousClock.now
    let inherited = options.detached ? nil : CallContext.current
    let span = startSpan(method.path, ofKind: .client)
    defer { span.end() }
    var metadata = options.metadata
    InstrumentationSystem.instrument.inject(span.context, into: &metadata, using: MetadataCarrier())
    let call = Call(
      method: method, request: request, options: options, metadata: metadata,
      deadline: deadline(options, inherited: inherited?.deadline, now: started),
      // A call that is itself a retry is not multiplied further down.
      maximumAttempts: (inherited?.attempt ?? 1) > 1 ? 1 : configuration.maximumAttempts)
    let (result, attempts) = await attempted(call)
    let code: RPCCode
    switch result {
    case .success: code = .ok
    case .failure(let error): code = error.code
    }
    metrics.finished(method: method.path, code: code, after: ContinuousClock.now - started)
    if span.isRecording { describe(span, method, result, code, attempts) }
    if case .failure(let error) = result, error.origin != .application {
      configuration.logger.debug(
        "rpc.call_failed",
        metadata: [
          "method": "\(method.path)", "reason": "\(code.name)", "detail": "\(error.message)", "executed": "\(error.executed)",
          "attempts": "\(attempts)",
        ])
    }
    return try result.get()
  }

  // MARK: - One call, with its attempts

  private struct Call {
    var method: MethodDescriptor
    var request: [UInt8]
    var options: CallOptions
    var metadata: Metadata
    var deadline: ContinuousClock.Instant
    var maximumAttempts: Int
  }

  /// The earlier of the call's own limit and the caller's, less a margin in which the caller can still be answered.
  private func deadline(
    _ options: CallOptions, inherited: ContinuousClock.Instant?, now: ContinuousClock.Instant
  ) -> ContinuousClock.Instant {
    let own = options.timeout.map { now + $0 }
    let above = inherited.map { $0 - configuration.deadlineMargin }
    switch (own, above) {
    case (let own?, let above?): return min(own, above)
    case (let own?, nil): return own
    case (nil, let above?): return above
    case (nil, nil): return now + configuration.defaultTimeout
    }
  }

  private func attempted(_ call: Call) async -> (Result<RPCReply, RPCError>, attempts: Int) {
    var attempt = 1
    while true {
      let result = await once(call, attempt: UInt32(attempt))
      guard case .failure(let error) = result else {
        budget.withLock { $0.callSucceeded() }
        return (result, attempt)
      }
      // UNAVAILABLE and not executed: refused before any handler, or never sent. Whatever else failed would fail again, or twice.
      guard error.executed == .no, error.code == .unavailable, attempt < call.maximumAttempts else { return (result, attempt) }
      var generator = SystemRandomNumberGenerator()
      let wait = max(backoff.wait(attempt: attempt, using: &generator), error.retryAfter ?? .zero)
      guard ContinuousClock.now + wait < call.deadline, budget.withLock({ $0.takesRetry() }) else { return (result, attempt) }
      configuration.logger.debug(
        "rpc.retrying", metadata: ["method": "\(call.method.path)", "attempt": "\(attempt + 1)", "reason": "\(error.message)"])
      do {
        try await Task.sleep(for: wait)
      } catch {
        let cancelled = RPCError(.cancelled, "cancelled by the caller between attempts", origin: .runtime, executed: .no)
        return (.failure(cancelled), attempt)
      }
      attempt += 1
    }
  }

  private func once(_ call: Call, attempt: UInt32) async -> Result<RPCReply, RPCError> {
    let request = ClientConnectionStateMachine.OutgoingCall(
      method: call.method.path, message: call.request, deadline: call.deadline, metadata: call.metadata, attempt: attempt,
      idempotencyKey: call.options.idempotencyKey)
    let waitsForReady = call.options.waitForReady
    let ticket = PendingCall.Ticket()
    let core = core
    let eventLoop = eventLoop
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        eventLoop.execute {
          core.value.submit(PendingCall(request, waitsForReady: waitsForReady, ticket: ticket, continuation: continuation))
        }
      }
    } onCancel: {
      ticket.cancel()
      eventLoop.execute { core.value.cancel(ticket) }
    }
  }

  private func describe(
    _ span: any Span, _ method: MethodDescriptor, _ result: Result<RPCReply, RPCError>, _ code: RPCCode, _ attempts: Int
  ) {
    let halves = method.path.split(separator: "/", maxSplits: 1)
    span.attributes["rpc.system"] = "florin"
    span.attributes["rpc.service"] = halves.first.map(String.init) ?? method.path
    span.attributes["rpc.method"] = halves.count == 2 ? String(halves[1]) : ""
    span.attributes["rpc.status_code"] = code.name
    span.attributes["florin.peer"] = configuration.expectedPeer.description
    span.attributes["florin.attempts"] = attempts
    if case .failure(let error) = result { span.setStatus(SpanStatus(code: .error, message: error.message)) }
  }
}
