/// The server's side of one connection: which frames make sense now, which calls run, what is to be written. No I/O; time is handed in.
///
/// A stream's slot is taken from its OPEN until *both* its handler has returned and its last frame (STATUS or NACK) was fetched for
/// writing. A CANCEL frees nothing: a peer that opens and cancels as fast as it can has no more handlers running than its limit
/// (CVE-2023-44487), and one that never reads cannot pile up replies.
package struct ServerConnectionStateMachine: ConnectionStateMachine {
  package typealias Instant = ContinuousClock.Instant

  /// What router and policy say to an OPEN, before anything else is done for it.
  package enum Admission: Sendable, Hashable {
    /// - Parameter messageBytes: the method's own limit.
    case accepted(messageBytes: Int)
    /// No permission. The owner answers in the handler's place, so that an audit record comes first; the message is not listened to.
    case denied
    /// Answered at once.
    case refused(RPCError)
  }

  /// A call that is whole and in time.
  package struct IncomingCall: Sendable, Hashable {
    package var streamID: UInt32
    package var open: Frame.Open
    package var message: [UInt8]
    package var deadline: Instant?
    /// No handler may see it.
    package var isDenied: Bool
  }

  /// Why a handler is told to stop.
  package enum CancelReason: Sendable, Hashable {
    case callerCancelled
    case deadlinePassed
    case connectionClosed
  }

  /// What the owner of the connection is to do.
  package enum Event: Sendable, Hashable {
    case becameReady(Frame.Hello)
    /// Ends with `handlerReturned`, or `handlerDeclined` if it was never begun.
    case startHandler(IncomingCall)
    /// Ask the handler to stop. `handlerReturned` must still follow.
    case cancelHandler(streamID: UInt32, reason: CancelReason)
  }

  private struct Stream: Sendable {
    var open: Frame.Open
    var deadline: Instant?
    var assembly: MessageAssembly
    /// Whole, but the client has not yet ended the stream.
    var message: [UInt8]?
    /// The client may send more DATA.
    var isReceiving = true
    var isHandlerRunning = false
    var isCancelled = false
    /// STATUS or NACK is queued, perhaps behind a message.
    var isAnswered = false
    /// The answer was fetched for writing.
    var isAnswerWritten = false
  }

  private enum Drain: Sendable {
    case none
    case announced(finalDue: Instant, limit: Instant)
    case final(limit: Instant)
  }

  private var basics: ConnectionBasics
  private let admit: @Sendable (Frame.Open) -> Admission
  private var streams: [UInt32: Stream] = [:]
  private var handlersRunning = 0
  /// The highest stream that was ever opened, and the highest that was accepted.
  private var lastOpenedID: UInt32 = 0
  private var lastAcceptedID: UInt32 = 0
  /// Streams answered before the client had said all: what it still sends was on its way. The oldest are forgotten.
  private var cutShort = RecentStreams()
  private var drain = Drain.none
  private var drainReason = ""
  private var resets: RateBound
  /// No stream's deadline is earlier. May lie in the past of streams that have ended.
  private var earliestDeadline: Instant?

  /// - Parameter admit: pure; asked once for each OPEN.
  package init(_ configuration: ConnectionConfiguration, admit: @escaping @Sendable (Frame.Open) -> Admission) {
    basics = ConnectionBasics(configuration)
    resets = RateBound(burst: configuration.resetBurst, interval: configuration.resetInterval)
    cutShort = RecentStreams(capacity: 4 * configuration.limits.concurrentStreams)
    self.admit = admit
  }

  // MARK: What the driver reads

  package var inboundFrameBytes: Int { basics.inboundFrameBytes }
  package var isBackedUp: Bool { basics.outbound.frameCount > 256 }
  package var isClosing: Bool { basics.phase == .closing }
  /// Handlers that were started and have not returned.
  package var runningHandlers: Int { handlersRunning }
  /// Slots that are taken.
  package var takenSlots: Int { streams.count }

  package var wakeUp: Instant? {
    guard basics.phase != .closing else { return nil }
    var earliest = basics.wakeUp
    func consider(_ instant: Instant) { earliest = min(earliest ?? instant, instant) }
    if let earliestDeadline { consider(earliestDeadline) }
    switch drain {
    case .none: break
    case .announced(let finalDue, let limit): consider(min(finalDue, limit))
    case .final(let limit): consider(limit)
    }
    return earliest
  }

  package mutating func nextFrame(at now: Instant) -> Frame? {
    guard let frame = basics.outbound.next(chunkBytes: basics.chunkBytes) else { return nil }
    switch frame.kind {
    case .status, .nack:
      if var stream = streams[frame.streamID] {
        stream.isAnswerWritten = true
        streams[frame.streamID] = stream.isHandlerRunning ? stream : nil
      }
    default: break
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
      if case .opening = basics.phase { return helloReceived(try basics.helloReceived(frame, at: now), at: now) }
      if try basics.commonFrameReceived(frame, at: now) { return commonFrameHandled(frame, at: now) }
      switch frame.kind {
      case .open(let open): return try openReceived(open, on: frame.streamID, at: now)
      case .data(let chunk): return try chunkReceived(chunk, on: frame.streamID, at: now)
      case .cancel: return try cancelReceived(on: frame.streamID, at: now)
      case .goAway:
        // The client opens no more streams and will close when it has its answers: there is nothing to do.
        guard frame.streamID == 0 else { throw PeerFault(.wrongStream, "GOAWAY on stream \(frame.streamID); it belongs on stream 0") }
        return []
      default: throw PeerFault(.wrongDirection, "\(frame.kindName) from a client; only servers send it")
      }
    } catch {
      return end(.peerFault(error))
    }
  }

  package mutating func timePassed(at now: Instant) -> Effects {
    guard basics.phase != .closing else { return [] }
    if let cause = basics.timePassed(at: now) { return end(cause) }
    switch drain {
    case .none: break
    case .announced(_, let limit) where now >= limit, .final(let limit) where now >= limit:
      return end(.drainLimitPassed(callsRunning: handlersRunning))
    case .announced(let finalDue, let limit): if now >= finalDue { return finishDrain(limit: limit) + deadlinesPassed(at: now) }
    case .final: break
    }
    return deadlinesPassed(at: now)
  }

  // MARK: What the owner did

  /// The handler of a started call is done, in whatever way: its slot frees when the answer is written.
  package mutating func handlerReturned(_ streamID: UInt32, _ result: Result<RPCReply, RPCError>, at now: Instant) -> Effects {
    guard var stream = streams[streamID], stream.isHandlerRunning else {
      return basics.phase == .closing ? [] : [.misused("handlerReturned for stream \(streamID), which runs no handler")]
    }
    stream.isHandlerRunning = false
    handlersRunning -= 1
    streams[streamID] = stream.isAnswerWritten ? nil : stream
    guard basics.phase != .closing else { return [] }
    if !stream.isAnswered {
      if stream.isCancelled {
        answer(streamID, Frame.Status(.cancelled, "cancelled by the caller", origin: .runtime, executed: .yes))
      } else {
        answer(streamID, result)
      }
    }
    return closeIfDrained()
  }

  /// The call was not begun, because there is no room for it: the caller may safely try again.
  package mutating func handlerDeclined(_ streamID: UInt32, _ nack: Frame.Nack, at now: Instant) -> Effects {
    guard var stream = streams[streamID], stream.isHandlerRunning else {
      return basics.phase == .closing ? [] : [.misused("handlerDeclined for stream \(streamID), which runs no handler")]
    }
    stream.isHandlerRunning = false
    handlersRunning -= 1
    guard !stream.isAnswered, basics.phase != .closing else {
      streams[streamID] = stream.isAnswerWritten ? nil : stream
      return []
    }
    stream.isAnswered = true
    streams[streamID] = stream
    basics.outbound.append(Frame(streamID, .nack(nack)))
    return closeIfDrained()
  }

  /// This side wants to go away: calls that run may finish, new ones go elsewhere.
  ///
  /// Two phases, so that a call that is on its way is not refused: an announcement; when the client is known to have it (its PONG), or
  /// after a while, the last accepted stream.
  package mutating func drainRequested(reason: String, at now: Instant) -> Effects {
    guard case .none = drain, basics.phase != .closing else { return [] }
    let limit = now + basics.configuration.drainLimit
    guard basics.phase != .beforeOpen else { return end(.drained) }
    guard basics.phase == .open else {
      drain = .final(limit: limit)
      basics.outbound.append(Frame(0, .goAway(.init(isFinal: true, lastStreamID: 0, reason: reason))))
      return end(.drained)
    }
    drainReason = reason
    drain = .announced(finalDue: now + basics.configuration.drainAnnouncement, limit: limit)
    basics.outbound.append(Frame(0, .goAway(.init(isFinal: false, reason: reason))))
    basics.sendPing(ConnectionBasics.drainPing)
    return []
  }
}

// MARK: - Stream 0

extension ServerConnectionStateMachine {
  private mutating func helloReceived(_ hello: Frame.Hello, at now: Instant) -> Effects { [.event(.becameReady(hello))] }

  private mutating func commonFrameHandled(_ frame: Frame, at now: Instant) -> Effects {
    switch frame.kind {
    case .pong(ConnectionBasics.drainPing):
      guard case .announced(_, let limit) = drain else { return [] }
      return finishDrain(limit: limit)
    case .window: return [.dropped(.creditNotInForce)]
    case .unknown: return [.dropped(.unknownFrameSkipped)]
    default: return []
    }
  }

  private mutating func finishDrain(limit: Instant) -> Effects {
    drain = .final(limit: limit)
    basics.outbound.append(Frame(0, .goAway(.init(isFinal: true, lastStreamID: lastAcceptedID, reason: drainReason))))
    return closeIfDrained()
  }

  /// What is queued is written before the connection closes; so only streams that wait for the client or for a handler hold it open.
  private mutating func closeIfDrained() -> Effects {
    guard case .final = drain, basics.phase != .closing else { return [] }
    guard handlersRunning == 0, !streams.values.contains(where: { $0.isReceiving && !$0.isAnswered }) else { return [] }
    return end(.drained)
  }

  /// Says why, if anyone still listens; cancels what runs.
  private mutating func end(_ cause: CloseCause) -> Effects {
    if cause != .drained {
      basics.outbound.removeAllButHello()
      basics.outbound.append(Frame(0, .goAway(.init(isFinal: true, lastStreamID: lastAcceptedID, reason: cause.description))))
    }
    basics.phase = .closing
    var effects: Effects = streams.filter { $0.value.isHandlerRunning && !$0.value.isCancelled }.keys.sorted()
      .map { .event(.cancelHandler(streamID: $0, reason: .connectionClosed)) }
    streams = streams.filter { $0.value.isHandlerRunning }
    effects.append(.close(cause))
    return effects
  }
}

// MARK: - Streams

extension ServerConnectionStateMachine {
  private mutating func openReceived(_ open: Frame.Open, on id: UInt32, at now: Instant) throws(PeerFault) -> Effects {
    guard id % 2 == 1, id <= ConnectionLimits.largestStreamID else {
      throw PeerFault(.streamIDNotOdd, "OPEN on stream \(id); a client's streams are odd and below 2^31")
    }
    guard id > lastOpenedID else {
      throw PeerFault(.streamIDReused, "OPEN on stream \(id) after stream \(lastOpenedID); ids increase and are never used again")
    }
    lastOpenedID = id
    let limits = basics.configuration.limits
    if case .final = drain { return nack(id, Frame.Nack("draining")) }
    guard streams.count < limits.concurrentStreams else {
      return nack(id, Frame.Nack("more than \(limits.concurrentStreams) streams at once", retryAfter: .milliseconds(10)))
    }
    lastAcceptedID = id
    var stream = Stream(
      open: open, deadline: open.remaining.map { now + $0 }, assembly: MessageAssembly(limitBytes: limits.messageBytes))
    if let refusal = refusal(of: open) {
      streams[id] = stream
      return refuse(id, refusal)
    }
    switch admit(open) {
    case .refused(let error):
      streams[id] = stream
      return refuse(id, Frame.Status(error))
    case .denied:
      stream.isReceiving = false
      // The audit record has a limit of its own; a denial is not turned into a DEADLINE_EXCEEDED.
      stream.deadline = nil
      cutShort.insert(id)
      return start(id, stream, message: [], isDenied: true)
    case .accepted(let messageBytes):
      stream.assembly = MessageAssembly(limitBytes: min(messageBytes, limits.messageBytes))
      streams[id] = stream
      if let deadline = stream.deadline { earliestDeadline = min(earliestDeadline ?? deadline, deadline) }
      return []
    }
  }

  /// What is wrong with an OPEN in itself.
  private func refusal(of open: Frame.Open) -> Frame.Status? {
    let limit = basics.configuration.limits.metadataBytes
    if open.metadata.countedBytes > limit {
      return Frame.Status(
        .resourceExhausted, "\(open.metadata.countedBytes) bytes of metadata, over the limit of \(limit)", origin: .runtime, executed: .no)
    }
    if let defect = open.metadata.defect { return Frame.Status(.invalidArgument, defect, origin: .runtime, executed: .no) }
    if open.method.utf8.count > ConnectionLimits.nameBytes || (open.idempotencyKey?.utf8.count ?? 0) > ConnectionLimits.nameBytes {
      return Frame.Status(
        .invalidArgument, "a method or idempotency key of more than \(ConnectionLimits.nameBytes) bytes", origin: .runtime,
        executed: .no)
    }
    return nil
  }

  private mutating func chunkReceived(_ chunk: Frame.Chunk, on id: UInt32, at now: Instant) throws(PeerFault) -> Effects {
    try basics.chunkReceived(chunk, at: now)
    try requireOpened(id, "DATA")
    guard var stream = streams[id], stream.isReceiving else {
      guard cutShort.contains(id) else {
        throw PeerFault(.streamClosed, "DATA on stream \(id), whose end the client had already sent")
      }
      if chunk.endOfStream { cutShort.remove(id) }
      return [.dropped(.streamEndedMeanwhile)]
    }
    // The stream leaves the table while it changes, so that its bytes are never copied.
    streams[id] = nil
    if stream.message == nil {
      switch stream.assembly.chunkReceived(chunk) {
      case .incomplete: break
      case .complete(let message): stream.message = message
      case .tooLarge:
        streams[id] = stream
        return refuse(id, Frame.Status(.resourceExhausted, "the message is over the method's limit", origin: .runtime, executed: .no))
      }
    } else if !chunk.body.isEmpty || chunk.endOfMessage {
      streams[id] = stream
      return refuse(id, Frame.Status(.unimplemented, "a second message; a unary call has one", origin: .runtime, executed: .no))
    }
    stream.isReceiving = !chunk.endOfStream
    guard chunk.endOfStream else {
      streams[id] = stream
      return []
    }
    guard let message = stream.message.take() else {
      streams[id] = stream
      return refuse(id, Frame.Status(.invalidArgument, "the stream ended without a whole message", origin: .runtime, executed: .no))
    }
    if let deadline = stream.deadline, now >= deadline {
      streams[id] = stream
      return refuse(id, Self.expired(executed: .no))
    }
    return start(id, stream, message: message, isDenied: false)
  }

  private mutating func cancelReceived(on id: UInt32, at now: Instant) throws(PeerFault) -> Effects {
    try requireOpened(id, "CANCEL")
    guard resets.admits(at: now) else {
      throw PeerFault(
        .tooManyResets, "CANCELs more often than every \(basics.configuration.resetInterval.wholeMilliseconds) ms in the long run")
    }
    // It crossed the stream's last frame on the way.
    guard var stream = streams[id], !stream.isCancelled else { return [.dropped(.streamEndedMeanwhile)] }
    stream.isCancelled = true
    if stream.isReceiving {
      stream.isReceiving = false
      cutShort.insert(id)
    }
    streams[id] = stream
    if stream.isHandlerRunning {
      return stream.isAnswered ? [] : [.event(.cancelHandler(streamID: id, reason: .callerCancelled))]
    }
    let cancelled = Frame.Status(
      .cancelled, "cancelled by the caller", origin: .runtime, executed: stream.isAnswered ? .yes : .no)
    if !stream.isAnswered {
      answer(id, cancelled)
    } else if basics.outbound.discardMessage(of: id) {
      // The answer's message is no longer wanted, but the stream still ends with a STATUS.
      basics.outbound.append(Frame(id, .status(cancelled)))
    }
    return closeIfDrained()
  }

  private func requireOpened(_ id: UInt32, _ kind: String) throws(PeerFault) {
    guard id % 2 == 1 else { throw PeerFault(.wrongStream, "\(kind) on stream \(id); a client's streams are odd") }
    guard id <= lastOpenedID else { throw PeerFault(.streamNeverOpened, "\(kind) on stream \(id), which was never opened") }
  }

  private mutating func start(_ id: UInt32, _ stream: Stream, message: [UInt8], isDenied: Bool) -> Effects {
    var stream = stream
    stream.isHandlerRunning = true
    handlersRunning += 1
    streams[id] = stream
    return [
      .event(
        .startHandler(
          IncomingCall(streamID: id, open: stream.open, message: message, deadline: stream.deadline, isDenied: isDenied)))
    ]
  }

  private mutating func deadlinesPassed(at now: Instant) -> Effects {
    guard let earliestDeadline, now >= earliestDeadline else { return [] }
    var effects: Effects = []
    for id in streams.filter({ !$0.value.isAnswered && ($0.value.deadline.map { now >= $0 } ?? false) }).keys.sorted() {
      guard let stream = streams[id] else { continue }
      if stream.isHandlerRunning {
        if !stream.isCancelled { effects.append(.event(.cancelHandler(streamID: id, reason: .deadlinePassed))) }
        answer(id, Self.expired(executed: .yes))
      } else {
        effects += refuse(id, Self.expired(executed: .no))
      }
    }
    self.earliestDeadline = streams.values.lazy.filter { !$0.isAnswered }.compactMap(\.deadline).min()
    return effects + closeIfDrained()
  }

  private static func expired(executed: RPCError.Executed) -> Frame.Status {
    Frame.Status(.deadlineExceeded, "the call's deadline passed", origin: .runtime, executed: executed)
  }

  private mutating func nack(_ id: UInt32, _ nack: Frame.Nack) -> Effects {
    cutShort.insert(id)
    basics.outbound.append(Frame(id, .nack(nack)))
    return []
  }

  /// Ends a stream that no handler has seen, perhaps before the client has said all.
  private mutating func refuse(_ id: UInt32, _ status: Frame.Status) -> Effects {
    if streams[id]?.isReceiving == true {
      streams[id]?.isReceiving = false
      cutShort.insert(id)
    }
    answer(id, status)
    return closeIfDrained()
  }

  private mutating func answer(_ id: UInt32, _ status: Frame.Status) {
    streams[id]?.isAnswered = true
    basics.outbound.append(Frame(id, .status(status.fitted(to: basics.peerLimits))))
  }

  private mutating func answer(_ id: UInt32, _ result: Result<RPCReply, RPCError>) {
    switch result {
    case .failure(let error): answer(id, Frame.Status(error))
    case .success(let reply):
      let limit = basics.peerLimits.messageBytes
      guard reply.message.count <= limit else {
        return answer(
          id,
          Frame.Status(
            .resourceExhausted, "the answer has \(reply.message.count) bytes, over the caller's limit of \(limit)", origin: .runtime,
            executed: .yes))
      }
      let status = Frame.Status(.ok, trailers: reply.trailers).fitted(to: basics.peerLimits)
      guard status.code == .ok else { return answer(id, status) }
      streams[id]?.isAnswered = true
      basics.outbound.append(reply.message, on: id, thenStatus: status)
    }
  }
}
