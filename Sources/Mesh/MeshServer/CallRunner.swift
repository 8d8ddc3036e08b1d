internal import Logging
internal import MeshProtocol
internal import MeshTransport
internal import Metrics
internal import Tracing

/// Runs the handler of one call in the current task: context, span, metrics, and what its errors become on the wire.
struct CallRunner: Sendable {
  var methods: [String: RPCMethod]
  var logger: Logger
  var metrics: CallMetrics
  var denialAuditLimit: Duration
  var onDenied: @Sendable (DeniedCall) async -> Void

  /// Never throws: what a handler throws is an answer too.
  func run(_ call: ServerConnectionStateMachine.IncomingCall, peer: SPIFFEID) async -> Result<RPCReply, RPCError> {
    let started = ContinuousClock.now
    let path = call.open.method
    let method = methods[path]
    let span = startSpan("\(path)", context: extracted(call.open.metadata), ofKind: .server)
    defer { span.end() }
    if span.isRecording {
      span.attributes["rpc.system"] = "florin"
      let halves = path.split(separator: "/", maxSplits: 1)
      span.attributes["rpc.service"] = halves.first.map(String.init) ?? path
      span.attributes["rpc.method"] = halves.count == 2 ? String(halves[1]) : ""
      span.attributes["florin.peer"] = peer.description
    }
    let result = await ServiceContext.$current.withValue(span.context) {
      call.isDenied ? .failure(await denied(path, peer, isKnown: method != nil)) : await handle(call, method, peer)
    }
    let code = result.code
    if span.isRecording {
      span.attributes["rpc.status_code"] = code.name
      if case .failure(let error) = result, code.isServerError {
        span.setStatus(SpanStatus(code: .error, message: error.message))
      }
    }
    // The label comes from a peer: only names that exist are told apart.
    metrics.finished(method: method == nil ? "unknown" : path, code: code, after: ContinuousClock.now - started)
    return result
  }

  private func handle(
    _ call: ServerConnectionStateMachine.IncomingCall, _ method: RPCMethod?, _ peer: SPIFFEID
  ) async -> Result<RPCReply, RPCError> {
    guard let method else { return .failure(RPCError(.unimplemented, "no such method", origin: .runtime, executed: .no)) }
    let context = CallContext(
      peer: peer, method: method.descriptor.path, deadline: call.deadline, metadata: call.open.metadata,
      idempotencyKey: call.open.idempotencyKey, attempt: call.open.attempt)
    do {
      return .success(try await CallContext.$current.withValue(context) { try await method.handle(call.message, context) })
    } catch var error as RPCError {
      // It was thrown by a handler, whoever made it first: an answer of a service further down is not ours to pass off as "not executed".
      error.executed = .yes
      if error.origin == .transport { error.origin = .application }
      return .failure(error)
    } catch is CancellationError {
      return .failure(RPCError(.cancelled, "the handler was cancelled", origin: .runtime))
    } catch {
      // The caller learns nothing of what is inside; the log does.
      logger.error(
        "rpc.handler_failed",
        metadata: ["method": "\(call.open.method)", "peer": "\(peer)", "reason": "unexpected_error", "detail": "\(error)"])
      return .failure(RPCError(.unknown, "internal error", origin: .runtime))
    }
  }

  private func denied(_ path: String, _ peer: SPIFFEID, isKnown: Bool) async -> RPCError {
    logger.warning("rpc.denied", metadata: ["method": "\(path)", "peer": "\(peer)", "reason": "not_granted"])
    Counter(label: "rpc_denied_total", dimensions: [("method", isKnown ? path : "unknown"), ("peer", peer.path)]).increment()
    let isAudited = await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        await onDenied(DeniedCall(peer: peer, method: path))
        return true
      }
      group.addTask {
        try? await Task.sleep(for: denialAuditLimit)
        return false
      }
      defer { group.cancelAll() }
      return await group.next() ?? false
    }
    if !isAudited {
      logger.error("rpc.denial_not_audited", metadata: ["method": "\(path)", "peer": "\(peer)", "reason": "audit_timed_out"])
    }
    return RPCError(
      .permissionDenied, "\(peer.path) may not call \(path): the policy does not grant it", origin: .runtime, executed: .no)
  }

  private func extracted(_ metadata: Metadata) -> ServiceContext {
    var context = ServiceContext.topLevel
    InstrumentationSystem.instrument.extract(metadata, into: &context, using: MetadataCarrier())
    return context
  }
}

extension Result<RPCReply, RPCError> {
  var code: RPCCode {
    switch self {
    case .success: .ok
    case .failure(let error): error.code
    }
  }
}

extension RPCCode {
  /// Worth a red span on the server: not what a caller did wrong, or what was declined.
  var isServerError: Bool {
    switch self {
    case .unknown, .deadlineExceeded, .unimplemented, .internal, .unavailable, .dataLoss: true
    default: false
    }
  }
}
