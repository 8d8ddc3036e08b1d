import Foundation
import Testing

@testable import MeshProtocol

/// The published vectors, made by protoc.
private struct Vector: Decodable, CustomTestStringConvertible {
  var name: String
  var hex: String

  var testDescription: String { name }

  static let all: [Vector] = {
    let file = #filePath.replacing("Tests/MeshProtocolTests/GoldenFramesTests.swift", with: "proto/vectors/frames.json")
    guard let data = FileManager.default.contents(atPath: file) else { return [] }
    return (try? JSONDecoder().decode([Vector].self, from: data)) ?? []
  }()

  var bytes: [UInt8] {
    var digits = hex[...]
    var bytes: [UInt8] = []
    while let byte = UInt8(digits.prefix(2), radix: 16) {
      bytes.append(byte)
      digits = digits.dropFirst(2)
    }
    return bytes
  }
}

@Suite("The published vectors")
struct GoldenFramesTests {
  private static let expected: [String: Frame] = [
    "hello": Frame(0, .hello(.init(limits: ConnectionLimits(), build: "florin 1.0"))),
    "open": Frame(
      1,
      .open(
        .init(
          method: "florin.ledger.v1.Ledger/Post", remaining: .milliseconds(1250),
          metadata: Metadata(entries: [
            .init(key: "traceparent", value: Array("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".utf8)),
            .init(key: "raw-bin", value: [0, 255]),
          ]), attempt: 2, idempotencyKey: "5f0c2c3e-8f0e-4c55-9f8f-0d1c7b2c6a11"))),
    "data": Frame(1, .data(.init([1, 2, 3], endOfMessage: true, endOfStream: true))),
    "data_part": Frame(300, .data(.init([97, 98, 99], endOfMessage: false, endOfStream: false))),
    "data_empty_message": Frame(3, .data(.init([], endOfMessage: true, endOfStream: false))),
    "status_ok": Frame(1, .status(.init(.ok))),
    "status_error": Frame(
      .max >> 1,
      .status(
        .init(
          .failedPrecondition, "the account is frozen", details: [.init(typeURL: "florin.type.v1.Reason", value: [8, 1])],
          trailers: ["reason": "account_frozen"]))),
    "status_denied": Frame(
      5,
      .status(
        .init(
          .permissionDenied, "account may not call florin.ledger.v1.Ledger/Post: the policy does not grant it", origin: .runtime,
          executed: .no))),
    "cancel": Frame(7, .cancel(reason: "cancelled by the caller")),
    "window_stream": Frame(7, .window(creditBytes: 65_536)),
    "window_connection": Frame(0, .window(creditBytes: 4 << 20)),
    "ping": Frame(0, .ping(opaque: 0x0102_0304_0506_0708)),
    "pong": Frame(0, .pong(opaque: .max)),
    "go_away_announced": Frame(0, .goAway(.init(isFinal: false, reason: "the service is shutting down"))),
    "go_away_final": Frame(0, .goAway(.init(isFinal: true, lastStreamID: 9, reason: "the service is shutting down"))),
    "nack": Frame(9, .nack(.init("the server is at its limit of handlers", retryAfter: .milliseconds(20)))),
    "unknown_skipped": Frame(9, .unknown(mustUnderstand: false)),
    "unknown_must_understand": Frame(0, .unknown(mustUnderstand: true)),
  ]

  @Test("there is a vector for every frame of this table, and none besides")
  func complete() { #expect(Set(Vector.all.map(\.name)) == Set(Self.expected.keys)) }

  @Test("each vector is read as the frame it means, and written again byte for byte", arguments: Vector.all)
  private func golden(vector: Vector) throws {
    let bytes = vector.bytes
    let frame = try #require(Self.expected[vector.name])
    let read = try bytes.withUnsafeBytes { try FrameCodec.firstFrame(of: $0, limitBytes: 65_536) }
    #expect(read?.frame == frame)
    #expect(read?.bytesTaken == bytes.count)
    // What is not known cannot be written.
    if case .unknown = frame.kind { return }
    #expect(try FrameCodec.encoded(frame) == bytes)
  }
}
