internal import COpenSSL
package import MeshProtocol
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A peer that says whatever a test wants it to say, byte for byte, and keeps what it is told.
package final class RawConnection: Sendable {
  /// What has come so far.
  fileprivate struct Heard {
    var bytes: [UInt8] = []
    var taken = 0
    var isEstablished = false
    var failure: String?
    var isClosed = false
  }

  /// What the two ends of the object share.
  fileprivate final class Ear: Sendable {
    private let state = Mutex(Heard())
    fileprivate func change(_ body: (inout Heard) -> Void) { state.withLock { body(&$0) } }
    fileprivate func read<R: Sendable>(_ body: (Heard) -> R) -> R { state.withLock { body($0) } }
    fileprivate func update<R: Sendable>(_ body: (inout Heard) -> R) -> R { state.withLock { body(&$0) } }
  }

  private let channel: any Channel
  private let ear: Ear

  private init(_ channel: any Channel, _ ear: Ear) {
    self.channel = channel
    self.ear = ear
  }

  /// Connects, shows the certificate in the directory (nil: none), and waits for the handshake or its failure.
  package static func connect(_ port: Int, identity: String?) async throws -> RawConnection {
    let connection = try await connectOnly(port, identity: identity)
    try await eventually("the handshake ends") { connection.ear.read { $0.isEstablished || $0.failure != nil || $0.isClosed } }
    return connection
  }

  /// A peer with payment's own certificate that has said HELLO and heard it.
  package static func ready(_ port: Int, limits: ConnectionLimits = ConnectionLimits()) async throws -> RawConnection {
    let connection = try await connect(port, identity: TestAuthority.shared().authority.leafDirectory("payment"))
    try await connection.send(Frame(0, .hello(.init(limits: limits))))
    guard case .hello? = try await connection.frame()?.kind else { throw TimedOut(what: "the server's HELLO") }
    return connection
  }

  /// A peer that has said HELLO and from then on reads nothing.
  package static func deaf(_ port: Int) async throws -> RawConnection {
    let connection = try await ready(port)
    try await connection.channel.setOption(.autoRead, value: false).get()
    return connection
  }

  private static func connectOnly(_ port: Int, identity: String?) async throws -> RawConnection {
    let ear = Ear()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(RawHandler(tls: try RawTLS(client: true, identity: identity), ear: ear))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return RawConnection(channel, ear)
  }

  /// Bytes on the socket, without TLS, and nothing else.
  package static func plain(_ port: Int) async throws -> RawConnection {
    let ear = Ear()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(RawHandler(tls: nil, ear: ear)) }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return RawConnection(channel, ear)
  }

  package var isEstablished: Bool { ear.read { $0.isEstablished } }
  /// The alert, if one came.
  package var failure: String? { ear.read { $0.failure } }
  package var isClosed: Bool { ear.read { $0.isClosed } }

  /// Application bytes (or socket bytes, if plain).
  package func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

  package func send(_ frames: Frame...) async throws {
    try await send(frames.flatMap { (try? FrameCodec.encoded($0)) ?? [] })
  }

  /// The next frame; nil if the connection has ended before it was whole.
  package func frame() async throws -> Frame? {
    var found: Frame??
    try await eventually("a frame") {
      found = self.ear.update { heard -> Frame?? in
        let next = heard.bytes[heard.taken...].withUnsafeBytes { try? FrameCodec.firstFrame(of: $0, limitBytes: 1 << 24) }
        if let (frame, bytesTaken) = next ?? nil {
          heard.taken += bytesTaken
          return .some(frame)
        }
        return heard.isClosed || heard.failure != nil ? .some(nil) : nil
      }
      return found != nil
    }
    return found ?? nil
  }

  /// Every frame until the connection ends.
  package func framesUntilClosed() async throws -> [Frame] {
    var frames: [Frame] = []
    while let frame = try await frame() { frames.append(frame) }
    return frames
  }

  package func closed() async throws { try await eventually("the connection closes") { self.isClosed } }

  package func close() async { try? await channel.close().get() }

  /// A server that shows the certificate in the directory to whoever connects, and says `answer` after the handshake.
  package static func serve(identity: String, answer: [UInt8] = []) async throws -> (port: Int, stop: @Sendable () async -> Void) {
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            RawHandler(tls: try RawTLS(client: false, identity: identity), ear: Ear(), answer: answer))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return (listener.localAddress?.port ?? 0, { try? await listener.close().get() })
  }

  fileprivate final class RawHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: RawTLS?
    private let ear: Ear
    private var answer: [UInt8]

    init(tls: RawTLS?, ear: Ear, answer: [UInt8] = []) {
      self.tls = tls
      self.ear = ear
      self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) { take([], context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(Array(unwrapInboundIn(data).readableBytesView), context) }

    private func take(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
      guard let tls else { return ear.change { $0.bytes += bytes } }
      var (plaintext, toSend) = tls.receive(bytes)
      if tls.isEstablished, !answer.isEmpty {
        toSend += tls.encrypt(answer)
        answer = []
      }
      if !toSend.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: toSend)), promise: nil) }
      ear.change { heard in
        heard.bytes += plaintext
        heard.isEstablished = tls.isEstablished
        heard.failure = tls.failure
      }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      let bytes = Array(unwrapOutboundIn(data).readableBytesView)
      context.write(wrapOutboundOut(ByteBuffer(bytes: tls?.encrypt(bytes) ?? bytes)), promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      ear.change { if $0.failure == nil { $0.failure = "\(error)" } }
      context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { ear.change { $0.isClosed = true } }
  }
}
