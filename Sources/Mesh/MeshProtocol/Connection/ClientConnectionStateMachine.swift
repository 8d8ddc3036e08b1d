/// The client's side of one connection: which streams are open, what came back, what is to be written. No I/O; time is handed in.
///
/// A stream occupies a slot until the server has ended it, also when this side no longer waits: the server's slot is taken as long.
package struct ClientConnectionStateMachine: ConnectionStateMachine {
  package typealias Instant = ContinuousClock.Instant

  /// A call as its caller wants it.
  package struct OutgoingCall: Sendable, Hashable {
    package var method: String
    package var message: [UInt8]
    package var deadline: Instant?
    package var metadata: Metadata
    package var attempt: UInt32
    package var idempotencyKey: String?

    package init(
      method: String, message: [UInt8], deadline: Instant? = nil, metadata: Metadata = [:], attempt: UInt32 = 1,
      idempotencyKey: String? = nil
    ) {
      self.method = method
      self.message = message
      self.deadline = deadline
      self.metadata = metadata
      self.attempt = attempt
      self.idempotencyKey = idempotencyKey
    }
  }

  /// What the owner of the connection is told.
  package enum Event: Sendable, Hashable {
    /// Calls can be made.
    case becameReady(Frame.Hello)
    /// No more calls here; those that are under way go on. Said once.
    case retired(reason: String)
    case completed(streamID: UInt32, Result<RPCReply, RPCError>)
    /// A stream that nobody waited for has ended: there is room for a call.
    case slotFreed
  }

  private struct Stream: Sendable {
    var deadline: Instant?
    var assembly: MessageAssembly
    var message: [UInt8]?
    /// The OPEN was fetched for writing: the server may have seen the call.
    var isOpenSent = false
    /// The caller has its answer; the server's is only waited for.
    var isAbandoned = false
  }

  private var basics: ConnectionBasics
  private var streams: [UInt32: Stream] = [:]
  private var nextID: UInt32 = 1
  /// No new streams: the server said so, the ids have run out, or this side is leaving.
  private var isRetired = false
  /// Of the server's final GOAWAY.
  private var lastServedID: UInt32?
  private var isLeaving = false
  private var earliestDeadline: Instant?

  package init(_ configuration: ConnectionConfiguration) { basics = ConnectionBasics(configuration) }

  // MARK: What the driver reads

  package var inboundFrameBytes: Int { basics.inboundFrameBytes }
  /// A client answers nothing but PINGs, which are bounded: it always reads, so that a server can always write.
  package var isBackedUp: Bool { false }
  package var isClosing: Bool { basics.phase == .closing }
  package var isReady: Bool { basics.phase == .open && !isRetired }
  /// Calls that may be made now.
  package var freeSlots: Int { isReady ? max(0, basics.peerLimits.concurrentStreams - streams.count) : 0 }
  package var takenSlots: Int { streams.count }

  package var wakeUp: Instant? {
    guard basics.phase != .closing else { return nil }
    guard let earliestDeadline else { return basics.wakeUp }
    return min(basics.wakeUp ?? earliestDeadline, earliestDeadline)
  }

  package mutating func nextFrame(at now: Instant) -> Frame? {
    guard var frame = basics.outbound.next(chunkBytes: basics.chunkBytes) else { return nil }
    if case .open(var open) = frame.kind {
      streams[frame.streamID]?.isOpenSent = true
      // What remains is known only now: the OPEN may have waited.
      if let deadline = streams[frame.streamID]?.deadline { open.remaining = max(.nanoseconds(1), deadline - now) }
      frame.kind = .open(open)
    }
    return frame
  }

  // MARK: What happened on the connection

  package mutating func connectionOpened(at now: Instant) -> Effects {
    guard basics.phase == .beforeOpen else { return [.misused("connectionOpened twice")] }
    basics.connectionOpened(at: now)
    return []
  }

  package mutating func frameRejected(_ error: FrameError, at now: Instant) -> Effects {
    guard basics.phase != .closing else { return [] }
    return end(.peerFault(PeerFault(error)))
  }

  package mutating func connectionLost(_ why: String) -> Effects {
    guard basics.phase != .closing else { return [] }
    var effects = end(.connectionLost(why))
    basics.outbound.removeAll()
    effects.removeAll { $0 == .close(.connectionLost(why)) }
    return effects
  }

  package mutating func frameReceived(_ frame: Frame, at now: Instant) -> Effects {
    guard basics.phase != .closing else { return [] }
    do throws(PeerFault) {
      basics.frameReceived(at: now)
      if case .opening = basics.phase { return [.event(.becameReady(try basics.helloReceived(frame, at: now)))] }
      if try basics.commonFrameReceived(frame, at: now) {
        switch frame.kind {
        case .window: return [.dropped(.creditNotInForce)]
        case .unknown: return [.dropped(.unknownFrameSkipped)]
        default: return []
        }
      }
      switch frame.kind {
      case .data(let chunk): return try chunkReceived(chunk, on: frame.streamID, at: now)
      case .status(let status): return try statusReceived(status, on: frame.streamID)
      case .nack(let nack): return try nackReceived(nack, on: frame.streamID)
      case .goAway(let goAway):
        guard frame.streamID == 0 else { throw PeerFault(.wrongStream, "GOAWAY on stream \(frame.streamID); it belongs on stream 0") }
        return try goAwayReceived(goAway)
      default: throw PeerFault(.wrongDirection, "\(frame.kindName) from a server; only clients send it")
      }
    } catch {
      return end(.peerFault(error))
    }
  }

  package mutating func timePassed(at now: Instant) -> Effects {
    guard basics.phase != .closing else { return [] }
    if let cause = basics.timePassed(at: now) { return end(cause) }
    guard let earliestDeadline, now >= earliestDeadline else { return [] }
    var effects: Effects = []
    for id in streams.filter({ !$0.value.isAbandoned && ($0.value.deadline.map { now >= $0 } ?? false) }).keys.sorted() {
      // The server knows the deadline too: a CANCEL is needed only if it does not have the whole call.
      effects += abandon(
        id, .deadlineExceeded, "no answer within the call's deadline", saysSo: basics.outbound.discardMessage(of: id))
    }
    self.earliestDeadline = streams.values.lazy.filter { !$0.isAbandoned }.compactMap(\.deadline).min()
    return effects + closeIfDone()
  }

  // MARK: What the owner wants

  /// Makes a call on a stream of its own.
  /// - Returns: the stream; or why the call cannot be made at all. Nothing was sent in that case.
  package mutating func callRequested(_ call: OutgoingCall, at now: Instant) -> (opened: Result<UInt32, RPCError>, effects: Effects) {
    func refused(_ code: RPCCode, _ message: String) -> (Result<UInt32, RPCError>, Effects) {
      (.failure(RPCError(code, message, origin: .runtime, executed: .no)), [])
    }
    guard freeSlots > 0 else { return refused(.unavailable, "the connection takes no more calls") }
    let limits = basics.peerLimits
    guard call.message.count <= limits.messageBytes else {
      return refused(.resourceExhausted, "the message has \(call.message.count) bytes, over the server's limit of \(limits.messageBytes)")
    }
    if let defect = call.metadata.defect { return refused(.invalidArgument, defect) }
    guard call.metadata.countedBytes <= limits.metadataBytes else {
      return refused(
        .resourceExhausted, "\(call.metadata.countedBytes) bytes of metadata, over the server's limit of \(limits.metadataBytes)")
    }
    for name in [call.method, call.idempotencyKey ?? ""] where name.utf8.count > ConnectionLimits.nameBytes || name.utf8.contains(0) {
      return refused(.invalidArgument, "a method or idempotency key of more than \(ConnectionLimits.nameBytes) bytes, or with a NUL in it")
    }
    let id = nextID
    var effects: Effects = []
    if id + 2 > basics.configuration.lastUsableStreamID {
      isRetired = true
      effects.append(.event(.retired(reason: "the stream ids of the connection have run out")))
    }
    nextID = id + 2
    streams[id] = Stream(deadline: call.deadline, assembly: MessageAssembly(limitBytes: basics.configuration.limits.messageBytes))
    if let deadline = call.deadline { earliestDeadline = min(earliestDeadline ?? deadline, deadline) }
    basics.outbound.append(
      Frame(
        id,
        .open(
          .init(
            method: call.method, remaining: call.deadline.map { $0 - now }, metadata: call.metadata, attempt: call.attempt,
            idempotencyKey: call.idempotencyKey))))
    basics.outbound.append(call.message, on: id)
    return (.success(id), effects)
  }

  /// The caller no longer waits.
  package mutating func callCancelled(_ streamID: UInt32) -> Effects {
    guard let stream = streams[streamID], !stream.isAbandoned, basics.phase != .closing else { return [] }
    basics.outbound.discardMessage(of: streamID)
    return abandon(streamID, .cancelled, "cancelled by the caller", saysSo: true) + closeIfDone()
  }

  /// This side makes no more calls here; the connection closes when those under way have ended.
  package mutating func drainRequested(reason: String) -> Effects {
    guard !isLeaving, basics.phase != .closing else { return [] }
    isLeaving = true
    if basics.phase == .open { basics.outbound.append(Frame(0, .goAway(.init(isFinal: true, reason: reason)))) }
    return retire(reason) + closeIfDone()
  }
}

// MARK: - Streams

extension ClientConnectionStateMachine {
  private mutating func chunkReceived(_ chunk: Frame.Chunk, on id: UInt32, at now: Instant) throws(PeerFault) -> Effects {
    try basics.chunkReceived(chunk, at: now)
    guard var stream = try openStream(id, "DATA") else { return [.dropped(.streamEndedMeanwhile)] }
    guard !stream.isAbandoned else { return [.dropped(.callAbandoned)] }
    streams[id] = nil  // so that its bytes are never copied
    defer { streams[id] = stream }
    guard stream.message == nil else {
      guard !chunk.body.isEmpty || chunk.endOfMessage else { return [] }
      return fail(id, &stream, .internal, "the server sent a second message; a unary call has one")
    }
    switch stream.assembly.chunkReceived(chunk) {
    case .incomplete: return []
    case .complete(let message):
      stream.message = message
      return []
    case .tooLarge:
      return fail(
        id, &stream, .resourceExhausted, "the answer is over this side's limit of \(basics.configuration.limits.messageBytes) bytes")
    }
  }

  private mutating func statusReceived(_ status: Frame.Status, on id: UInt32) throws(PeerFault) -> Effects {
    guard let stream = try openStream(id, "STATUS") else { return [.dropped(.streamEndedMeanwhile)] }
    remove(id)
    guard !stream.isAbandoned else { return [.event(.slotFreed)] + closeIfDone() }
    let result: Result<RPCReply, RPCError>
    if status.code != .ok {
      result = .failure(status.error)
    } else if let message = stream.message {
      result = .success(RPCReply(message: message, trailers: status.trailers))
    } else {
      result = .failure(
        RPCError(.internal, "the server sent OK without a whole message", origin: .runtime, executed: .yes))
    }
    return [.event(.completed(streamID: id, result))] + closeIfDone()
  }

  private mutating func nackReceived(_ nack: Frame.Nack, on id: UInt32) throws(PeerFault) -> Effects {
    guard let stream = try openStream(id, "NACK") else { return [.dropped(.streamEndedMeanwhile)] }
    remove(id)
    guard !stream.isAbandoned else { return [.event(.slotFreed)] + closeIfDone() }
    let error = RPCError(
      .unavailable, "the server did not take the call: \(nack.reason)", origin: .runtime, executed: .no, retryAfter: nack.retryAfter)
    return [.event(.completed(streamID: id, .failure(error)))] + closeIfDone()
  }

  /// Nil: the stream was given up for a good reason, and what comes for it was on its way.
  private func openStream(_ id: UInt32, _ kind: String) throws(PeerFault) -> Stream? {
    if let stream = streams[id], stream.isOpenSent { return stream }
    guard id % 2 == 1 else { throw PeerFault(.wrongStream, "\(kind) on stream \(id); a client's streams are odd") }
    guard id < nextID else { throw PeerFault(.streamNeverOpened, "\(kind) on stream \(id), which was never opened") }
    if let lastServedID, id > lastServedID { return nil }
    throw PeerFault(.streamClosed, "\(kind) on stream \(id), which the server had already ended")
  }

  private mutating func remove(_ id: UInt32) {
    streams[id] = nil
    basics.outbound.discardMessage(of: id)
  }

  /// A call that this side gives up because of what the server sent on its stream.
  private mutating func fail(_ id: UInt32, _ stream: inout Stream, _ code: RPCCode, _ message: String) -> Effects {
    stream.isAbandoned = true
    stream.message = nil
    basics.outbound.discardMessage(of: id)
    basics.outbound.append(Frame(id, .cancel(reason: message)))
    return [.event(.completed(streamID: id, .failure(RPCError(code, message, origin: .runtime, executed: .yes))))]
  }

  /// A call that is no longer waited for.
  private mutating func abandon(_ id: UInt32, _ code: RPCCode, _ message: String, saysSo: Bool) -> Effects {
    guard var stream = streams[id] else { return [] }
    let completed = { (executed: RPCError.Executed) -> Effects in
      [.event(.completed(streamID: id, .failure(RPCError(code, message, origin: .runtime, executed: executed))))]
    }
    guard stream.isOpenSent else {
      // The server never hears of it.
      basics.outbound.discardOpen(of: id)
      remove(id)
      return completed(.no)
    }
    stream.isAbandoned = true
    stream.message = nil
    streams[id] = stream
    if saysSo { basics.outbound.append(Frame(id, .cancel(reason: message))) }
    return completed(.unknown)
  }
}

// MARK: - The end of the connection

extension ClientConnectionStateMachine {
  private mutating func goAwayReceived(_ goAway: Frame.GoAway) throws(PeerFault) -> Effects {
    var effects = retire(goAway.reason)
    guard goAway.isFinal else { return effects }
    if let lastServedID, goAway.lastStreamID > lastServedID {
      throw PeerFault(.goAwayWentBack, "a final GOAWAY with a later last stream than the one before")
    }
    lastServedID = goAway.lastStreamID
    for id in streams.keys.filter({ $0 > goAway.lastStreamID }).sorted() {
      let isAbandoned = streams[id]?.isAbandoned ?? true
      basics.outbound.discardOpen(of: id)
      remove(id)
      guard !isAbandoned else { continue }
      let error = RPCError(.unavailable, "the server is going away: \(goAway.reason)", origin: .transport, executed: .no)
      effects.append(.event(.completed(streamID: id, .failure(error))))
    }
    return effects + closeIfDone()
  }

  private mutating func retire(_ reason: String) -> Effects {
    guard !isRetired else { return [] }
    isRetired = true
    return [.event(.retired(reason: reason))]
  }

  /// A retired connection closes when nobody waits for anything on it.
  private mutating func closeIfDone() -> Effects {
    guard isRetired, basics.phase != .closing, !streams.values.contains(where: { !$0.isAbandoned }) else { return [] }
    return end(.drained)
  }

  private mutating func end(_ cause: CloseCause) -> Effects {
    if case .peerFault = cause {
      basics.outbound.removeAllButHello()
      basics.outbound.append(Frame(0, .goAway(.init(isFinal: true, reason: cause.description))))
    } else if cause != .drained {
      basics.outbound.removeAll()
    }
    basics.phase = .closing
    var effects: Effects = retire(cause.description)
    for id in streams.keys.sorted() {
      guard let stream = streams[id], !stream.isAbandoned else { continue }
      let error = RPCError(
        .unavailable, "the connection ended: \(cause)", origin: .transport, executed: stream.isOpenSent ? .unknown : .no)
      effects.append(.event(.completed(streamID: id, .failure(error))))
    }
    streams = [:]
    effects.append(.close(cause))
    return effects
  }
}
