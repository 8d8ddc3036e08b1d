import ProtobufCodec
import Testing

@testable import MeshProtocol

@Suite("Frames on the wire")
struct FrameCodecTests {
  static let samples: [Frame] = [
    Frame(
      0,
      .hello(
        .init(
          minimumVersion: 1, maximumVersion: 3, features: 5, limits: ConnectionLimits(), minimumPingInterval: .milliseconds(1500),
          schemaFingerprint: [1, 2, 3], build: "florin 1", trustBundleGeneration: 7))),
    Frame(
      5,
      .open(
        .init(
          method: "florin.ledger.v1.Ledger/Post", remaining: .milliseconds(1250),
          metadata: Metadata(entries: [.init(key: "traceparent", value: Array("00-ab".utf8)), .init(key: "x-bin", value: [0, 255])]),
          attempt: 2, idempotencyKey: "k"))),
    Frame(5, .data(.init([1, 2, 3], endOfMessage: true, endOfStream: true))),
    Frame(5, .data(.init([], endOfMessage: true, endOfStream: false))),
    Frame(.max, .data(.init([], endOfMessage: false, endOfStream: false))),
    Frame(
      7,
      .status(
        .init(
          .notFound, "no such account", details: [.init(typeURL: "t", value: [9])], trailers: ["a": "b"], origin: .runtime,
          executed: .no))),
    Frame(7, .status(.init(.ok))),
    Frame(7, .cancel(reason: "gone")),
    Frame(7, .window(creditBytes: 65_536)),
    Frame(0, .ping(opaque: 0x0102_0304_0506_0708)),
    Frame(0, .pong(opaque: .max)),
    Frame(0, .goAway(.init(isFinal: true, lastStreamID: 9, reason: "drain"))),
    Frame(9, .nack(.init("full", retryAfter: .milliseconds(20)))),
    Frame(9, .unknown(mustUnderstand: true)),
  ]

  @Test("every kind comes back as it was", arguments: samples)
  func roundTrip(frame: Frame) throws {
    let bytes = try FrameCodec.encoded(frame)
    let read = try bytes.withUnsafeBytes { try FrameCodec.firstFrame(of: $0, limitBytes: 1 << 20) }
    #expect(read?.frame == frame)
    #expect(read?.bytesTaken == bytes.count)
  }

  @Test("a frame that is not whole is awaited, at every byte", arguments: samples)
  func truncated(frame: Frame) throws {
    let bytes = try FrameCodec.encoded(frame)
    for count in 0..<bytes.count {
      let read = try bytes[..<count].withUnsafeBytes { try FrameCodec.firstFrame(of: $0, limitBytes: 1 << 20) }
      #expect(read == nil)
    }
  }

  @Test("DATA written by hand is what protobuf writes, and is read back by both")
  func chunkLayout() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<300 {
      let size = [0, 1, 127, 128, 300, 20_000].randomElement(using: &generator) ?? 0
      let chunk = Frame.Chunk(
        (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }[...], endOfMessage: .random(using: &generator),
        endOfStream: .random(using: &generator))
      let frame = Frame(UInt32.random(in: 0...(.max), using: &generator) >> UInt32.random(in: 0...31, using: &generator), .data(chunk))
      let wire = WireAPI.Frame(frame)
      let bytes = try FrameCodec.encoded(frame)
      #expect(Array(bytes.dropFirst(4)) == (try wire.serialized()))
      #expect(Frame(try WireAPI.Frame(serialized: Array(bytes.dropFirst(4)))) == frame)
      #expect(try bytes.dropFirst(4).withUnsafeBytes { try FrameCodec.decode($0) } == frame)
    }
  }

  @Test("DATA in another layout is read all the same")
  func otherLayout() throws {
    // Body first, then the flag, then the stream id: protobuf allows any order.
    let bytes: [UInt8] = [15 << 3 | 2, 6, 3 << 3 | 2, 2, 7, 8, 1 << 3, 1, 1 << 3, 3]
    let frame = try bytes.withUnsafeBytes { try FrameCodec.decode($0) }
    #expect(frame == Frame(3, .data(.init([7, 8], endOfMessage: true, endOfStream: false))))
  }

  @Test("a length of 0, of 4 GiB and of limit + 1 is refused from its four bytes alone")
  func lengths() {
    func first(_ bytes: [UInt8]) -> FrameError? {
      do throws(FrameError) {
        _ = try bytes.withUnsafeBytes { raw in
          Result { () throws(FrameError) in try FrameCodec.firstFrame(of: raw, limitBytes: 1000) }
        }.get()
        return nil
      } catch { return error }
    }
    #expect(first([0, 0, 0, 0]) == .emptyFrame)
    #expect(first([255, 255, 255, 255]) == .frameTooLarge(bytes: 4_294_967_295, limit: 1000))
    #expect(first([0, 0, 3, 233]) == .frameTooLarge(bytes: 1001, limit: 1000))
    #expect(first([0, 0, 3, 232]) == nil)
    #expect(first([0, 0, 3]) == nil)
  }

  @Test("random bytes are a frame or a typed error, never anything else")
  func garbage() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    var malformed = 0
    for round in 0..<20_000 {
      var bytes: [UInt8]
      if round % 2 == 0 {
        bytes = (0..<Int.random(in: 1...64, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
      } else {
        // A real frame with a byte changed reaches deeper.
        bytes = Array(try FrameCodec.encoded(Self.samples[round % Self.samples.count]).dropFirst(4))
        if bytes.isEmpty { continue }
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      do {
        _ = try bytes.withUnsafeBytes { try FrameCodec.decode($0) }
      } catch {
        #expect(error is FrameError)
        malformed += 1
      }
    }
    #expect(malformed > 1000)
  }

  @Test("a frame with a deadline of a fraction of a nanosecond still has one")
  func smallestDeadline() throws {
    let frame = Frame(1, .open(.init(method: "m", remaining: .zero)))
    let bytes = try FrameCodec.encoded(frame)
    let read = try bytes.withUnsafeBytes { try FrameCodec.firstFrame(of: $0, limitBytes: 1 << 20) }
    guard case .open(let open)? = read?.frame.kind else { return #expect(Bool(false)) }
    #expect(open.remaining == .nanoseconds(1))
  }

  @Test("a status that does not fit is made to fit: the message cut, details left out, too many trailers an error")
  func fitting() throws {
    let peer = ConnectionLimits(frameBytes: 8192, metadataBytes: 4096)
    let long = Frame.Status(
      .notFound, String(repeating: "é", count: 4000), details: [.init(typeURL: "t", value: [UInt8](repeating: 1, count: 8000))])
    let fitted = long.fitted(to: peer)
    #expect(fitted.message.utf8.count <= 2048)
    #expect(fitted.message.allSatisfy { $0 == "é" })
    #expect(fitted.details.isEmpty)
    #expect(try FrameCodec.encoded(Frame(1, .status(fitted))).count <= 8192)
    #expect(Frame.Status(.notFound, "a\0b").fitted(to: peer).message == "ab")
    let trailers = Metadata(entries: (0..<200).map { .init(key: "k\($0)", value: Array("v".utf8)) })
    #expect(Frame.Status(.ok, trailers: trailers).fitted(to: peer).code == .internal)
    let small = Frame.Status(.aborted, "m", details: [.init(typeURL: "t", value: [1])], trailers: ["k": "v"])
    #expect(small.fitted(to: peer) == small)
  }

  @Test("limits that cannot be used are named")
  func limits() {
    #expect(ConnectionLimits().defect == nil)
    #expect(ConnectionLimits(frameBytes: 8191).defect != nil)
    #expect(ConnectionLimits(frameBytes: (16 << 20) + 1).defect != nil)
    #expect(ConnectionLimits(messageBytes: 0).defect != nil)
    #expect(ConnectionLimits(concurrentStreams: 0).defect != nil)
    #expect(ConnectionLimits(frameBytes: 8192, metadataBytes: 4097).defect != nil)
  }
}
