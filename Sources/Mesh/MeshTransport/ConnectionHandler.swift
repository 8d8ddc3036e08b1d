package import MeshProtocol
package import MeshTLS
package import NIOCore

/// Whoever a connection belongs to. Called on the connection's event loop.
package protocol ConnectionOwner<Event>: AnyObject, SendableMetatype {
  associatedtype Event
  /// The peer is authenticated.
  func connectionOpened(_ peer: TLSPeer)
  func handle(_ event: Event)
  /// Nothing follows. `failure` is what TLS or the socket said, if anything.
  func connectionClosed(_ cause: CloseCause, failure: (any Error)?)
}

/// The one place where a connection machine's wishes become I/O, for clients and servers alike.
///
/// Bytes come in, frames go to the machine, its effects are carried out; frames are fetched from it while the socket takes them, many to
/// one write: once at the end of each read, or once a turn of the event loop.
package final class ConnectionHandler<Machine: ConnectionStateMachine, Owner: ConnectionOwner>: ChannelDuplexHandler
where Owner.Event == Machine.Event {
  package typealias InboundIn = ByteBuffer
  package typealias InboundOut = Never
  package typealias OutboundIn = Never
  package typealias OutboundOut = ByteBuffer

  /// Frames are put together into writes of about this size.
  private static var writeBytes: Int { 128 << 10 }
  /// How long the last frames may take to be written before the connection is closed all the same.
  private static var lastWordsLimit: TimeAmount { .seconds(3) }
  private static var lastAnswersLimit: TimeAmount { .seconds(30) }

  package private(set) var machine: Machine
  private var observer: ConnectionObserver
  private var owner: Owner?
  private var context: ChannelHandlerContext?
  /// Bytes of a frame that is not yet whole; never more than the frame limit and one read.
  private var received = ByteBuffer()
  private var isOpened = false
  private var isReading = false
  private var isPumpScheduled = false
  private var isReadHeld = false
  private var closing: CloseCause?
  private var areLastWordsSent = false
  private var failure: (any Error)?
  private var timer: (due: ContinuousClock.Instant, scheduled: Scheduled<Void>)?

  package init(machine: Machine, owner: Owner, observer: ConnectionObserver) {
    self.machine = machine
    self.owner = owner
    self.observer = observer
  }

  // MARK: - From the owner

  /// Tells the machine something. Only on the connection's event loop.
  package func tell(_ fact: (inout Machine, ContinuousClock.Instant) -> Machine.Effects) {
    carryOut(fact(&machine, .now))
    guard context != nil else { return }
    setTimer()
    schedulePump()
  }

  // MARK: - From the channel

  package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  package func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    owner = nil
    timer?.scheduled.cancel()
  }

  package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case let completed as TLSHandshakeCompleted:
      isOpened = true
      observer.logger[metadataKey: "peer"] = "\(completed.peer.id)"
      observer.handshakeCompleted(completed.peer)
      owner?.connectionOpened(completed.peer)
      tell { machine, now in machine.connectionOpened(at: now) }
    case ChannelEvent.inputClosed: lost("the peer closed the connection")
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard closing == nil else { return }
    isReading = true
    var bytes = unwrapInboundIn(data)
    if received.readableBytes > 0 {
      received.writeBuffer(&bytes)
    } else {
      received = bytes
    }
    let now = ContinuousClock.now
    while closing == nil {
      let limit = machine.inboundFrameBytes
      let next = received.withUnsafeReadableBytes { bytes in
        Result { () throws(FrameError) in try FrameCodec.firstFrame(of: bytes, limitBytes: limit) }
      }
      switch next {
      case .success(nil):
        // An idle connection keeps no buffer.
        if received.readableBytes == 0 { received = ByteBuffer() } else { received.discardReadBytes() }
        return
      case .success(let (frame, bytesTaken)?):
        received.moveReaderIndex(forwardBy: bytesTaken)
        carryOut(machine.frameReceived(frame, at: now))
      case .failure(let error): carryOut(machine.frameRejected(error, at: now))
      }
    }
    received = ByteBuffer()
  }

  package func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    pump()
    setTimer()
  }

  package func read(context: ChannelHandlerContext) {
    if machine.isBackedUp, closing == nil {
      isReadHeld = true
    } else {
      context.read()
    }
  }

  package func channelWritabilityChanged(context: ChannelHandlerContext) {
    pump()
    context.fireChannelWritabilityChanged()
  }

  package func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if failure == nil { failure = error }
    if !isOpened { observer.handshakeFailed(error) }
    lost("\(error)")
  }

  package func channelInactive(context: ChannelHandlerContext) {
    lost("the connection was closed")
    timer?.scheduled.cancel()
    timer = nil
    let owner = owner
    self.owner = nil
    if let closing { owner?.connectionClosed(closing, failure: failure) }
    context.fireChannelInactive()
  }

  // MARK: - Effects

  private func carryOut(_ effects: Machine.Effects) {
    for effect in effects {
      switch effect {
      case .event(let event): owner?.handle(event)
      case .close(let cause): close(cause)
      case .dropped(let drop): observer.dropped(drop)
      case .misused(let what): observer.misused(what)
      }
    }
  }

  /// Nothing more can be said or heard.
  private func lost(_ why: String) {
    guard closing == nil else { return }
    let cause = CloseCause.connectionLost(why)
    closing = cause
    areLastWordsSent = true
    if isOpened { observer.closed(cause) }
    carryOut(machine.connectionLost(why))
    context?.close(promise: nil)
  }

  /// What the machine still has to say is said first.
  private func close(_ cause: CloseCause) {
    guard closing == nil else { return }
    closing = cause
    observer.closed(cause)
    guard let context else { return }
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    // A drained connection may still have answers to write, which are worth some patience.
    let limit = context.eventLoop.scheduleTask(in: cause == .drained ? Self.lastAnswersLimit : Self.lastWordsLimit) {
      bound.value.triggerUserOutboundEvent(CloseAtOnce(), promise: nil)
    }
    context.channel.closeFuture.whenComplete { _ in limit.cancel() }
    schedulePump()
  }

  // MARK: - Writing

  private func schedulePump() {
    guard !isReading, !isPumpScheduled, let context else { return }
    isPumpScheduled = true
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute {
      bound.value.isPumpScheduled = false
      bound.value.pump()
    }
  }

  private func pump() {
    guard let context, isOpened, !areLastWordsSent else { return }
    let now = ContinuousClock.now
    while context.channel.isWritable {
      var batch = context.channel.allocator.buffer(capacity: 1024)
      while batch.readableBytes < Self.writeBytes, let frame = machine.nextFrame(at: now) {
        do throws(FrameError) {
          try FrameCodec.encode(frame) { batch.writeBytes($0) }
        } catch {
          observer.misused("\(frame.kindName) on stream \(frame.streamID) could not be encoded: \(error)")
        }
      }
      guard batch.readableBytes > 0 else { break }
      context.writeAndFlush(wrapOutboundOut(batch), promise: nil)
    }
    if closing != nil, context.channel.isWritable {
      areLastWordsSent = true
      context.close(promise: nil)
    } else if isReadHeld, !machine.isBackedUp {
      isReadHeld = false
      context.read()
    }
  }

  // MARK: - Time

  /// One timer, which may fire too early: then the machine has nothing to do, and a later one is set.
  private func setTimer() {
    guard let context, closing == nil, let due = machine.wakeUp else { return }
    if let timer, timer.due <= due { return }
    timer?.scheduled.cancel()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let scheduled = context.eventLoop.scheduleTask(in: .until(due)) {
      let handler = bound.value
      handler.timer = nil
      handler.tell { machine, now in machine.timePassed(at: now) }
    }
    timer = (due, scheduled)
  }
}
