extension Frame {
  /// What a decoded `WireAPI.Frame` says. Numbers that this version does not know become the nearest thing it does.
  init(_ wire: WireAPI.Frame) {
    streamID = wire.streamID
    switch wire.kind {
    case .hello(let hello):
      kind = .hello(
        Hello(
          minimumVersion: hello.minimumVersion, maximumVersion: hello.maximumVersion, features: hello.features,
          limits: hello.limits.map(ConnectionLimits.init), minimumPingInterval: .milliseconds(hello.minimumPingIntervalMilliseconds),
          schemaFingerprint: hello.schemaFingerprint, build: hello.build, trustBundleGeneration: hello.trustBundleGeneration))
    case .open(let open):
      kind = .open(
        Open(
          method: open.method,
          // Beyond Int64 (292 years) there is no difference that anyone will see.
          remaining: open.remainingNanoseconds == 0
            ? nil : .nanoseconds(Int64(clamping: open.remainingNanoseconds)),
          metadata: Metadata(open.metadata), attempt: max(1, open.attempt),
          idempotencyKey: open.idempotencyKey.isEmpty ? nil : open.idempotencyKey))
    case .status(let status):
      kind = .status(
        Status(
          RPCCode(rawValue: status.code) ?? .unknown, status.message,
          details: status.details.map { RPCError.Detail(typeURL: $0.typeURL, value: $0.value) }, trailers: Metadata(status.trailers),
          origin: RPCError.Origin(status.origin), executed: RPCError.Executed(status.executed)))
    case .cancel(let cancel): kind = .cancel(reason: cancel.reason)
    case .window(let window): kind = .window(creditBytes: window.creditBytes)
    case .ping(let ping): kind = .ping(opaque: ping.opaque)
    case .pong(let pong): kind = .pong(opaque: pong.opaque)
    case .goAway(let goAway):
      kind = .goAway(GoAway(isFinal: goAway.final, lastStreamID: goAway.lastStreamID, reason: goAway.reason))
    case .nack(let nack):
      kind = .nack(
        Nack(nack.reason, retryAfter: nack.retryAfterMilliseconds == 0 ? nil : .milliseconds(Int64(nack.retryAfterMilliseconds))))
    case .data(let data):
      kind = .data(Chunk(data.body[...], endOfMessage: data.endOfMessage, endOfStream: data.endOfStream))
    case nil: kind = .unknown(mustUnderstand: wire.mustUnderstand)
    }
  }
}

extension WireAPI.Frame {
  init(_ frame: Frame) {
    self.init(streamID: frame.streamID)
    switch frame.kind {
    case .hello(let hello):
      kind = .hello(
        WireAPI.Hello(
          minimumVersion: hello.minimumVersion, maximumVersion: hello.maximumVersion, features: hello.features,
          limits: hello.limits.map(WireAPI.Limits.init),
          minimumPingIntervalMilliseconds: UInt64(clamping: hello.minimumPingInterval.wholeMilliseconds),
          schemaFingerprint: hello.schemaFingerprint, build: hello.build, trustBundleGeneration: hello.trustBundleGeneration))
    case .open(let open):
      kind = .open(
        WireAPI.Open(
          method: open.method,
          // 0 says "no deadline", so the last nanosecond is never rounded away.
          remainingNanoseconds: open.remaining.map { UInt64(clamping: max(1, $0.wholeNanoseconds)) } ?? 0,
          metadata: open.metadata.entries.map { WireAPI.MetadataEntry(key: $0.key, value: $0.value) }, attempt: open.attempt,
          idempotencyKey: open.idempotencyKey ?? ""))
    case .data(let chunk):
      kind = .data(
        WireAPI.Data(endOfMessage: chunk.endOfMessage, endOfStream: chunk.endOfStream, body: Array(chunk.body)))
    case .status(let status):
      kind = .status(
        WireAPI.Status(
          code: status.code.rawValue, message: status.message,
          details: status.details.map { WireAPI.Detail(typeURL: $0.typeURL, value: $0.value) },
          trailers: status.trailers.entries.map { WireAPI.MetadataEntry(key: $0.key, value: $0.value) },
          origin: WireAPI.Origin(status.origin), executed: WireAPI.Executed(status.executed)))
    case .cancel(let reason): kind = .cancel(WireAPI.Cancel(reason: reason))
    case .window(let credit): kind = .window(WireAPI.Window(creditBytes: credit))
    case .ping(let opaque): kind = .ping(WireAPI.Ping(opaque: opaque))
    case .pong(let opaque): kind = .pong(WireAPI.Pong(opaque: opaque))
    case .goAway(let goAway):
      kind = .goAway(WireAPI.GoAway(final: goAway.isFinal, lastStreamID: goAway.lastStreamID, reason: goAway.reason))
    case .nack(let nack):
      kind = .nack(
        WireAPI.Nack(reason: nack.reason, retryAfterMilliseconds: UInt32(clamping: nack.retryAfter?.wholeMilliseconds ?? 0)))
    case .unknown(let mustUnderstand): self.mustUnderstand = mustUnderstand
    }
  }
}

extension ConnectionLimits {
  init(_ wire: WireAPI.Limits) {
    self.init(
      frameBytes: Int(wire.frameBytes), messageBytes: Int(wire.messageBytes), concurrentStreams: Int(wire.concurrentStreams),
      metadataBytes: Int(wire.metadataBytes), streamWindowBytes: Int(wire.streamWindowBytes),
      connectionWindowBytes: Int(wire.connectionWindowBytes))
  }
}

extension WireAPI.Limits {
  init(_ limits: ConnectionLimits) {
    self.init(
      frameBytes: UInt32(clamping: limits.frameBytes), messageBytes: UInt32(clamping: limits.messageBytes),
      concurrentStreams: UInt32(clamping: limits.concurrentStreams), metadataBytes: UInt32(clamping: limits.metadataBytes),
      streamWindowBytes: UInt32(clamping: limits.streamWindowBytes), connectionWindowBytes: UInt32(clamping: limits.connectionWindowBytes))
  }
}

extension Metadata {
  init(_ wire: [WireAPI.MetadataEntry]) {
    self.init(entries: wire.map { Entry(key: $0.key, value: $0.value) })
  }
}

extension RPCError.Origin {
  init(_ wire: WireAPI.Origin) {
    switch wire {
    case .transport: self = .transport
    case .runtime: self = .runtime
    case .application, .unspecified, .unrecognized: self = .application
    }
  }
}

extension RPCError.Executed {
  init(_ wire: WireAPI.Executed) {
    switch wire {
    case .no: self = .no
    case .yes: self = .yes
    case .unknown, .unrecognized: self = .unknown
    }
  }
}

extension WireAPI.Origin {
  init(_ origin: RPCError.Origin) {
    switch origin {
    case .transport: self = .transport
    case .runtime: self = .runtime
    case .application: self = .application
    }
  }
}

extension WireAPI.Executed {
  init(_ executed: RPCError.Executed) {
    switch executed {
    case .no: self = .no
    case .yes: self = .yes
    case .unknown: self = .unknown
    }
  }
}
