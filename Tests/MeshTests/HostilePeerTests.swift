import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import ProtobufCodec
import Testing

@Suite("Peers that misbehave", .serialized)
struct HostilePeerTests {
  private static let hello = Frame(0, .hello(.init(limits: ConnectionLimits())))
  private static func open(_ id: UInt32) -> Frame { Frame(id, .open(.init(method: "test.Echo/Say"))) }
  private static func data(_ id: UInt32, _ body: [UInt8] = [1]) -> Frame {
    Frame(id, .data(.init(body[...], endOfMessage: true, endOfStream: true)))
  }
  private static func empty(_ id: UInt32) -> Frame { Frame(id, .data(.init([], endOfMessage: false, endOfStream: false))) }
  private static func bytes(_ frames: Frame...) throws -> [UInt8] { try frames.flatMap { try FrameCodec.encoded($0) } }

  /// What is sent after HELLO, and the fault that the GOAWAY must name.
  private static func faults() throws -> [(String, [UInt8], PeerFault.Kind)] {
    [
      ("a length of 0", [0, 0, 0, 0], .emptyFrame),
      ("a length of 4 GiB", [255, 255, 255, 255], .frameTooLarge),
      ("a length of limit + 1", [0, 1, 0, 1], .frameTooLarge),
      ("garbage protobuf", [0, 0, 0, 4, 255, 255, 255, 255], .malformedFrame),
      ("a kind that must be understood", [0, 0, 0, 4, 16, 1, 12 << 3 | 2, 0], .unknownFrame),
      ("a second HELLO", try bytes(hello), .secondHello),
      ("an even stream", try bytes(open(2)), .streamIDNotOdd),
      ("stream 0", try bytes(open(0)), .streamIDNotOdd),
      ("an id used again", try bytes(open(1), data(1), open(1)), .streamIDReused),
      ("an id that goes back", try bytes(open(5), open(3)), .streamIDReused),
      ("DATA on a stream that was never opened", try bytes(data(9)), .streamNeverOpened),
      ("DATA after the end of the stream", try bytes(open(1), data(1), data(1)), .streamClosed),
      ("a STATUS", try bytes(open(1), Frame(1, .status(.init(.ok)))), .wrongDirection),
      ("PINGs without end", try (1...4).flatMap { try bytes(Frame(0, .ping(opaque: $0))) }, .tooManyPings),
      ("a PONG to nothing", try bytes(Frame(0, .pong(opaque: 1))), .unaskedPong),
      ("empty DATA without end", try bytes(open(1)) + (0..<200).flatMap { _ in try bytes(empty(1)) }, .tooManyEmptyFrames),
      ("a credit of nothing", try bytes(Frame(0, .window(creditBytes: 0))), .zeroCredit),
    ]
  }

  @Test("each fault ends its connection with a GOAWAY that names it, and another connection goes on")
  func faults() async throws {
    let server = try await TestServer()
    let good = try server.channel()
    _ = try await good.call()
    for (what, bytes, fault) in try Self.faults() {
      let raw = try await RawConnection.ready(server.port)
      try await raw.send(bytes)
      let goAway = try await raw.framesUntilClosed().last
      if case .goAway(let goAway)? = goAway?.kind {
        #expect(goAway.isFinal, "\(what)")
        #expect(goAway.reason.contains(fault.rawValue), "\(what): \(goAway.reason)")
      } else {
        #expect(Bool(false), "\(what): \(String(describing: goAway))")
      }
      await raw.close()
      #expect(try await good.call().message == [1, 2, 3], "\(what)")
    }
    #expect(server.server.runningHandlers == 0)
    await good.shutDown()
    try await server.stop()
  }

  @Test("a frame before HELLO is named; a HELLO that cannot be used is named")
  func beforeHello() async throws {
    let server = try await TestServer()
    let identity = try TestAuthority.shared().authority.leafDirectory("payment")
    let cases: [(Frame, PeerFault.Kind)] = [
      (Self.open(1), .frameBeforeHello),
      (Frame(0, .hello(.init(minimumVersion: 7, maximumVersion: 9, limits: ConnectionLimits()))), .noCommonVersion),
      (Frame(0, .hello(.init(limits: nil))), .unusableLimits),
    ]
    for (frame, fault) in cases {
      let raw = try await RawConnection.connect(server.port, identity: identity)
      try await raw.send(frame)
      let frames = try await raw.framesUntilClosed()
      #expect(frames.first?.kindName == "HELLO")
      guard case .goAway(let goAway)? = frames.last?.kind else { return #expect(Bool(false), "\(frames)") }
      #expect(goAway.reason.contains(fault.rawValue))
      await raw.close()
    }
    // A HELLO of more than 8 KiB is refused by its length.
    let raw = try await RawConnection.connect(server.port, identity: identity)
    try await raw.send([0, 0, 32, 1])
    guard case .goAway(let goAway)? = try await raw.framesUntilClosed().last?.kind else { return #expect(Bool(false)) }
    #expect(goAway.reason.contains("frame_too_large"))
    await raw.close()
    try await server.stop()
  }

  @Test("faults of a single stream end that stream alone: metadata over the limit, a message over the limit, no message")
  func streamFaults() async throws {
    let server = try await TestServer {
      $0.maximumMetadataBytes = 200
      $0.maximumMessageBytes = 1000
    }
    let raw = try await RawConnection.ready(server.port)
    func status() async throws -> Frame.Status? {
      guard case .status(let status)? = try await raw.frame()?.kind else { return nil }
      return status
    }
    try await raw.send(Frame(1, .open(.init(method: "test.Echo/Say", metadata: ["k": String(repeating: "x", count: 200)]))), Self.data(1))
    #expect(try await status()?.code == .resourceExhausted)
    try await raw.send(Self.open(3), Self.data(3, [UInt8](repeating: 1, count: 1001)))
    #expect(try await status()?.code == .resourceExhausted)
    try await raw.send(Self.open(5), Frame(5, .data(.init([], endOfMessage: false, endOfStream: true))))
    #expect(try await status()?.code == .invalidArgument)
    try await raw.send(Frame(7, .open(.init(method: "test.Echo/Say", metadata: ["Key": "x"]))), Self.data(7))
    #expect(try await status()?.code == .invalidArgument)
    // A kind that may be skipped is.
    try await raw.send([0, 0, 0, 4, 8, 9, 12 << 3 | 2, 0])
    try await raw.send(Self.open(9), Self.data(9, [4]))
    #expect(try await raw.frame() == Self.data(9, [4]))
    #expect(try await status()?.code == .ok)
    await raw.close()
    try await server.stop()
  }

  @Test("a frame that is cut off by the end of the connection harms nobody")
  func truncated() async throws {
    let server = try await TestServer()
    let good = try server.channel()
    for count in [1, 4, 5, 20] {
      let raw = try await RawConnection.ready(server.port)
      let bytes = try Self.bytes(Self.open(1), Self.data(1, [UInt8](repeating: 7, count: 100)))
      try await raw.send(Array(bytes.prefix(count)))
      await raw.close()
      #expect(try await good.call().message == [1, 2, 3])
    }
    try await eventually("only the good connection is left") { server.server.connectionCount == 1 }
    await good.shutDown()
    try await server.stop()
  }

  @Test("silence instead of HELLO is ended with a GOAWAY that says so")
  func silence() async throws {
    let server = try await TestServer { $0.helloTimeout = .milliseconds(300) }
    let silent = try await RawConnection.connect(server.port, identity: TestAuthority.shared().authority.leafDirectory("payment"))
    guard case .goAway(let goAway)? = try await silent.framesUntilClosed().last?.kind else { return #expect(Bool(false)) }
    #expect(goAway.reason.contains("HELLO"))
    await silent.close()
    try await server.stop()
  }

  @Test("handshakes that do not end are ended, and cost only themselves")
  func slowHandshake() async throws {
    let server = try await TestServer { $0.handshakeTimeout = .seconds(3) }
    let good = try server.channel()
    _ = try await good.call("test.Echo/Say", [], CallOptions(waitForReady: true))
    var slow: [RawConnection] = []
    for number in 0..<20 {
      let raw = try await RawConnection.plain(server.port)
      // The first bytes of a TLS record, then nothing.
      if number % 2 == 0 { try? await raw.send([22, 3, 1]) }
      slow.append(raw)
    }
    for raw in slow { try await raw.closed() }
    #expect(try await good.call().message == [1, 2, 3])
    try await eventually("only the good connection is left") { server.server.connectionCount == 1 }
    await good.shutDown()
    try await server.stop()
  }

  @Test("bytes that are no TLS end the connection at once")
  func plaintext() async throws {
    let server = try await TestServer()
    let raw = try await RawConnection.plain(server.port)
    try await raw.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    try await raw.closed()
    try await server.stop()
  }

  @Test("connections and handshakes over the limit are refused at once")
  func tooManyConnections() async throws {
    let server = try await TestServer {
      $0.maximumConnections = 3
      $0.maximumHandshakes = 2
    }
    let first = try await RawConnection.plain(server.port)
    let second = try await RawConnection.plain(server.port)
    try await eventually("two handshakes are open") { server.server.connectionCount == 2 }
    let third = try await RawConnection.plain(server.port)
    try await third.closed()
    await first.close()
    await second.close()
    try await eventually("they are gone") { server.server.connectionCount == 0 }
    var good: [RawConnection] = []
    for _ in 0..<3 { good.append(try await RawConnection.ready(server.port)) }
    let fourth = try await RawConnection.plain(server.port)
    try await fourth.closed()
    for raw in good { await raw.close() }
    try await server.stop()
  }

  @Test("OPEN and CANCEL as fast as can be: handlers stay within the limit, the peer is told to go, others go on")
  func rapidReset() async throws {
    let running = MeshTestKit.Counter()
    let most = Record<Int>()
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { message, _ in
        most.append(running.add())
        defer { running.add(-1) }
        await Task.yield()
        return RPCReply(message: message)
      }
    ]) { $0.maximumStreamsPerConnection = 10 }
    let good = try server.channel()
    let raw = try await RawConnection.ready(server.port)
    var id: UInt32 = 1
    for _ in 0..<40 where !raw.isClosed {
      var bytes: [UInt8] = []
      for _ in 0..<500 {
        bytes += try Self.bytes(Self.open(id), Self.data(id), Frame(id, .cancel(reason: "")))
        id += 2
      }
      do { try await raw.send(bytes) } catch { break }
    }
    guard case .goAway(let goAway)? = try await raw.framesUntilClosed().last?.kind else { return #expect(Bool(false)) }
    #expect(goAway.reason.contains("too_many_resets"))
    await raw.close()
    #expect((most.all.max() ?? 0) <= 10)
    #expect(try await good.call().message == [1, 2, 3])
    try await eventually("no handler is left") { server.server.runningHandlers == 0 }
    await good.shutDown()
    try await server.stop()
  }

  @Test("a peer that sends calls and never reads the answers has no more than its streams' worth of handlers")
  func neverReads() async throws {
    let calls = MeshTestKit.Counter()
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { _, _ in
        calls.add()
        return RPCReply(message: [UInt8](repeating: 1, count: 1 << 20))
      }
    ]) {
      $0.maximumStreamsPerConnection = 8
      $0.keepaliveInterval = .milliseconds(300)
      $0.keepaliveTimeout = .milliseconds(300)
      $0.minimumPingInterval = .milliseconds(100)
    }
    let good = try server.channel()
    let deaf = try await RawConnection.deaf(server.port)
    var id: UInt32 = 1
    for _ in 0..<50 {
      do { try await deaf.send(Self.open(id), Self.data(id)) } catch { break }
      id += 2
    }
    // It answers no PING either, since it reads none.
    try await eventually("it is given up") { server.server.connectionCount <= 1 }
    #expect(calls.value <= 16)
    #expect(try await good.call().message.count == 1 << 20)
    await deaf.close()
    await good.shutDown()
    try await server.stop()
  }

  @Test("numbers at the end of their range harm neither side: deadlines and ping intervals of centuries")
  func hugeNumbers() async throws {
    let limits = ConnectionLimits()
    let wireLimits = WireAPI.Limits(
      frameBytes: UInt32(limits.frameBytes), messageBytes: .max, concurrentStreams: .max, metadataBytes: UInt32(limits.metadataBytes),
      streamWindowBytes: .max, connectionWindowBytes: .max)
    func bytes(_ frame: WireAPI.Frame) throws -> [UInt8] {
      let body = try frame.serialized()
      return withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
    }
    let hello = try bytes(
      WireAPI.Frame(
        kind: .hello(
          .init(
            maximumVersion: .max, features: .max, limits: wireLimits, minimumPingIntervalMilliseconds: .max,
            trustBundleGeneration: .max))))
    let server = try await TestServer()
    let raw = try await RawConnection.connect(server.port, identity: TestAuthority.shared().authority.leafDirectory("payment"))
    try await raw.send(hello)
    try await raw.send(
      bytes(
        WireAPI.Frame(
          streamID: 0x7fff_ffff, kind: .open(.init(method: "test.Echo/Say", remainingNanoseconds: .max, attempt: .max)))))
    try await raw.send(Self.data(0x7fff_ffff))
    #expect(try await raw.frame()?.kindName == "HELLO")
    #expect(try await raw.frame() == Self.data(0x7fff_ffff))
    await raw.close()
    try await server.stop()
    let (port, stop) = try await RawConnection.serve(
      identity: TestAuthority.shared().authority.leafDirectory("ledger"), answer: hello)
    let channel = try MeshChannel.test([port]) { $0.drainLimit = .milliseconds(100) }
    let late = await error { try await channel.call("test.Echo/Say", [], CallOptions(timeout: .milliseconds(200))) }
    #expect(late?.code == .deadlineExceeded)
    async let patient = error { try await channel.call("test.Echo/Say", [], CallOptions(timeout: .seconds(Int64.max))) }
    try await Task.sleep(for: .milliseconds(50))
    await channel.shutDown()
    #expect(await patient?.code == .unavailable)
    await stop()
  }

  @Test("a client that gets garbage from its server fails the call, not the program, and can tell why")
  func hostileServer() async throws {
    let answers: [[UInt8]] = [
      [0, 0, 0, 0], [255, 255, 255, 255], try Self.bytes(Self.open(2)), try Self.bytes(Self.hello, Self.hello),
      try Self.bytes(Self.hello, Frame(1, .cancel(reason: ""))), try Self.bytes(Frame(0, .ping(opaque: 1))),
    ]
    let identity = try TestAuthority.shared().authority.leafDirectory("ledger")
    for answer in answers {
      let (port, stop) = try await RawConnection.serve(identity: identity, answer: answer)
      let channel = try MeshChannel.test([port]) { $0.maximumAttempts = 1 }
      let failure = try await #require(error { try await channel.call() })
      #expect(failure.code == .unavailable)
      await channel.shutDown()
      await stop()
    }
  }
}
