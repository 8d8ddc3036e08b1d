package import MeshTLS
package import NIOCore

/// Fired down the pipeline when the peer is authenticated. No plaintext comes before it.
package struct TLSHandshakeCompleted: Sendable {
  package let peer: TLSPeer
}

/// Sent up the pipeline to close without waiting for anything that is still to be written.
package struct CloseAtOnce: Sendable {
  package init() {}
}

/// A handshake that took too long.
package struct TLSHandshakeTimedOut: Error, CustomStringConvertible {
  package let limit: TimeAmount
  package var description: String { "the TLS handshake was not done within \(limit.nanoseconds / 1_000_000) ms" }
}

/// TLS on a channel: moves bytes between the socket and `TLSEngine`, which knows all the rules.
///
/// A write's promise is kept by the socket: it succeeds when the bytes were handed to the kernel, and fails if they never were.
package final class TLSHandler: ChannelDuplexHandler {
  package typealias InboundIn = ByteBuffer
  package typealias InboundOut = ByteBuffer
  package typealias OutboundIn = ByteBuffer
  package typealias OutboundOut = ByteBuffer

  /// How long a closed connection waits for the peer to close too.
  private static let linger = TimeAmount.seconds(1)

  private let engine: TLSEngine
  private let handshakeTimeout: TimeAmount
  private var handshakeTimer: Scheduled<Void>?
  /// Written, but not yet flushed, or not yet to be encrypted because the handshake goes on.
  private var pending: [(plaintext: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
  private var isFlushWanted = false
  private var isStarted = false
  private var isClosing = false

  package init(engine: TLSEngine, handshakeTimeout: TimeAmount) {
    self.engine = engine
    self.handshakeTimeout = handshakeTimeout
  }

  package func handlerAdded(context: ChannelHandlerContext) {
    if context.channel.isActive { start(context) }
  }

  package func channelActive(context: ChannelHandlerContext) {
    start(context)
    context.fireChannelActive()
  }

  private func start(_ context: ChannelHandlerContext) {
    guard !isStarted else { return }
    isStarted = true
    let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
    handshakeTimer = context.eventLoop.scheduleTask(in: handshakeTimeout) {
      let (handler, context) = bound.value
      handler.fail(context, TLSHandshakeTimedOut(limit: handler.handshakeTimeout))
    }
    var out = BufferSink(buffer: context.channel.allocator.buffer(capacity: 1024))
    let result = Result { () throws(TLSError) in try engine.start(outbound: &out) }
    send(context, out.buffer, promise: nil)
    if case .failure(let error) = result { fail(context, error) }
  }

  package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isClosing else { return }
    let ciphertext = unwrapInboundIn(data)
    var plain = BufferSink(buffer: context.channel.allocator.buffer(capacity: ciphertext.readableBytes))
    var out = BufferSink(buffer: ByteBuffer())
    let result = ciphertext.withUnsafeReadableBytes { bytes in
      Result { () throws(TLSError) in try engine.receive(bytes, plaintext: &plain, outbound: &out) }
    }
    send(context, out.buffer, promise: nil)
    switch result {
    case .failure(let error): fail(context, error)
    case .success(let events):
      if events.contains(.established), let peer = engine.peer { handshakeCompleted(context, peer) }
      if plain.buffer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(plain.buffer)) }
      if events.contains(.peerClosed) {
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        close(context: context, mode: .all, promise: nil)
      }
    }
  }

  private func handshakeCompleted(_ context: ChannelHandlerContext, _ peer: TLSPeer) {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    context.fireUserInboundEventTriggered(TLSHandshakeCompleted(peer: peer))
    if isFlushWanted { encryptPending(context) }
  }

  package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isClosing else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    pending.append((unwrapOutboundIn(data), promise))
  }

  package func flush(context: ChannelHandlerContext) {
    isFlushWanted = true
    if engine.state == .established { encryptPending(context) }
  }

  private func encryptPending(_ context: ChannelHandlerContext) {
    isFlushWanted = false
    guard !pending.isEmpty else { return }
    let writes = pending
    pending = []
    let bytes = writes.reduce(0) { $0 + $1.plaintext.readableBytes }
    // The records' own bytes: 22 for each 16 KiB.
    var out = BufferSink(buffer: context.channel.allocator.buffer(capacity: bytes + (bytes / 16_384 + writes.count) * 22))
    var failure: TLSError?
    for (plaintext, _) in writes where failure == nil {
      let result = plaintext.withUnsafeReadableBytes { bytes in
        Result { () throws(TLSError) in try engine.encrypt(bytes, outbound: &out) }
      }
      if case .failure(let error) = result { failure = error }
    }
    let promises = writes.compactMap(\.promise)
    if let failure {
      for promise in promises { promise.fail(failure) }
      send(context, out.buffer, promise: nil)
      return fail(context, failure)
    }
    switch promises.count {
    case 0: send(context, out.buffer, promise: nil)
    case 1: send(context, out.buffer, promise: promises[0])
    default:
      let all = context.eventLoop.makePromise(of: Void.self)
      for promise in promises { all.futureResult.cascade(to: promise) }
      send(context, out.buffer, promise: all)
    }
  }

  private func send(_ context: ChannelHandlerContext, _ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) {
    guard bytes.readableBytes > 0 else {
      promise?.succeed()
      return
    }
    context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
  }

  /// Lets what was written go out, says close_notify, and waits a little for the peer to do the same: a socket closed with unread bytes
  /// in it is reset, and the peer may lose what it was told last.
  package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .all, context.channel.isActive else {
      context.close(mode: mode, promise: promise)
      return
    }
    if let promise { context.channel.closeFuture.cascade(to: promise) }
    guard !isClosing else { return }
    isClosing = true
    handshakeTimer?.cancel()
    failPending(ChannelError.ioOnClosedChannel)
    var out = BufferSink(buffer: ByteBuffer())
    engine.close(outbound: &out)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let sent = context.eventLoop.makePromise(of: Void.self)
    sent.futureResult.whenComplete { _ in
      let context = bound.value
      context.close(mode: .output, promise: nil)
      let linger = context.eventLoop.scheduleTask(in: Self.linger) { bound.value.close(mode: .all, promise: nil) }
      context.channel.closeFuture.whenComplete { _ in linger.cancel() }
    }
    // Writes complete in their order, an empty one too.
    context.writeAndFlush(wrapOutboundOut(out.buffer), promise: sent)
  }

  package func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    guard event is CloseAtOnce else { return context.triggerUserOutboundEvent(event, promise: promise) }
    isClosing = true
    context.close(mode: .all, promise: promise)
  }

  package func channelInactive(context: ChannelHandlerContext) {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    if !isClosing {
      do throws(TLSError) { try engine.endOfInput() } catch { context.fireErrorCaught(error) }
    }
    isClosing = true
    failPending(ChannelError.eof)
    context.fireChannelInactive()
  }

  package func handlerRemoved(context: ChannelHandlerContext) {
    handshakeTimer?.cancel()
    failPending(ChannelError.eof)
  }

  private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
    handshakeTimer?.cancel()
    handshakeTimer = nil
    failPending(error)
    context.fireErrorCaught(error)
    close(context: context, mode: .all, promise: nil)
  }

  private func failPending(_ error: any Error) {
    let writes = pending
    pending = []
    for (_, promise) in writes { promise?.fail(error) }
  }
}
