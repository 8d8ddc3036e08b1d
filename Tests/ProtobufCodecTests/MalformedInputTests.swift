import Foundation
import MeshProtocol
import ProtobufCodec
import Testing

@Suite struct MalformedInputTests {
  private func error<Message: ProtobufMessage>(
    _: Message.Type = TestAPI.Scalars.self, _ bytes: [UInt8], limits: DecodingLimits = .default
  ) -> ProtobufError? {
    do {
      _ = try Message(serialized: bytes, limits: limits)
      return nil
    } catch { return error }
  }

  /// Field 14 (`string_value`) of Scalars.
  private func stringField(_ content: [UInt8]) -> [UInt8] { [0x72, UInt8(content.count)] + content }

  @Test(
    "a string that is not UTF-8 is refused",
    arguments: [
      [0xff], [0xc3], [0xe2, 0x82], [0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0xf0, 0x9f, 0x62],
    ] as [[UInt8]])
  func badUTF8(content: [UInt8]) {
    #expect(error(TestAPI.Scalars.self, stringField(content)) == .invalidUTF8(field: "Scalars.string_value"))
    #expect(error(TestAPI.Repeateds.self, stringField(content)) == .invalidUTF8(field: "Repeateds.string_values"))
    #expect(error(TestAPI.Choices.self, [0x12, UInt8(content.count)] + content) == .invalidUTF8(field: "Choices.text"))
  }

  @Test("a string with an embedded NUL is refused, coming and going", arguments: [[0], [97, 0], [0, 98], [97, 0, 98]] as [[UInt8]])
  func embeddedNUL(bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let expected = ProtobufError.embeddedNUL(field: "Scalars.string_value")
    #expect(error(TestAPI.Scalars.self, stringField(bytes)) == expected)
    #expect(throws: expected) { try TestAPI.Scalars(stringValue: text).serialized() }
    #expect(throws: ProtobufError.embeddedNUL(field: "Repeateds.string_values")) {
      try TestAPI.Repeateds(stringValues: ["fine", text]).serialized()
    }
    #expect(throws: ProtobufError.embeddedNUL(field: "Choices.text")) { try TestAPI.Choices(choice: .text(text)).serialized() }
  }

  @Test("bytes may hold anything")
  func anyBytes() throws {
    let message = TestAPI.Scalars(bytesValue: [0, 0xff, 0, 0xc3])
    #expect(try TestAPI.Scalars(serialized: message.serialized()) == message)
  }

  @Test("a field that is cut off is malformed")
  func cutOff() {
    for bytes: [UInt8] in [
      [0x72], [0x72, 5], [0x72, 5, 0x61], [0x08], [0x09, 1, 2, 3], [0x18], [0x18, 0x80], [0x80], [0x72, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ] {
      #expect(error(TestAPI.Scalars.self, bytes) == .malformed, "\(bytes)")
    }
  }

  @Test("groups and the two wire types that do not exist are malformed", arguments: [3, 4, 6, 7] as [UInt8])
  func wireTypes(wireType: UInt8) {
    #expect(error(TestAPI.Scalars.self, [0x70 | wireType, 1, 0]) == .malformed)
    #expect(error(TestAPI.Scalars.self, [0xf8 | wireType, 0x7f, 1, 0]) == .malformed)
  }

  @Test("a known field of another wire type is malformed")
  func wrongWireType() {
    #expect(error(TestAPI.Scalars.self, [0x70, 1]) == .malformed)
    #expect(error(TestAPI.Scalars.self, [0x1a, 1, 1]) == .malformed)
    #expect(error(TestAPI.Nested.self, [0x08, 1]) == .malformed)
  }

  // MARK: Nesting

  /// A Tree with `depth` trees one inside the other below it.
  private func nestedTree(_ depth: Int, field: UInt8) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<depth {
      var length = bytes.count
      var varint: [UInt8] = []
      repeat {
        varint.append(UInt8(length & 0x7f) | (length > 0x7f ? 0x80 : 0))
        length >>= 7
      } while length > 0
      bytes = [field << 3 | 2] + varint + bytes
    }
    return bytes
  }

  @Test("100 messages inside each other are taken, 101 are refused, whichever way they nest", arguments: [2, 3, 4] as [UInt8])
  func nesting(field: UInt8) {
    #expect(error(TestAPI.Tree.self, nestedTree(100, field: field)) == nil)
    #expect(error(TestAPI.Tree.self, nestedTree(101, field: field)) == .nestingTooDeep(limit: 100))
    #expect(error(TestAPI.Tree.self, nestedTree(5, field: field), limits: DecodingLimits(nesting: 5)) == nil)
    #expect(error(TestAPI.Tree.self, nestedTree(6, field: field), limits: DecodingLimits(nesting: 5)) == .nestingTooDeep(limit: 5))
  }

  @Test("a hundred thousand messages inside each other are refused without using the stack")
  func deepNesting() {
    #expect(error(TestAPI.Tree.self, nestedTree(100_000, field: 2)) == .nestingTooDeep(limit: 100))
  }

  @Test("messages inside each other through other messages are counted too")
  func nestingThroughOthers() throws {
    var tree = TestAPI.Tree(label: "leaf")
    for _ in 0..<50 { tree = TestAPI.Tree(kind: .forest(TestAPI.Forest(trees: [tree]))) }
    let bytes = try tree.serialized()
    #expect(error(TestAPI.Tree.self, bytes) == nil)
    #expect(error(TestAPI.Tree.self, [0x1a] + lengthPrefixed(bytes)) == .nestingTooDeep(limit: 100))
  }

  @Test("a message nested too deep is not encoded")
  func encodingNested() throws {
    var tree = TestAPI.Tree(label: "leaf")
    for _ in 0..<100 { tree = TestAPI.Tree(only: tree) }
    #expect(try TestAPI.Tree(serialized: tree.serialized()) == tree)
    #expect(throws: ProtobufError.nestingTooDeep(limit: 100)) { try TestAPI.Tree(only: tree).serialized() }
  }

  private func lengthPrefixed(_ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count < 1 << 14)
    return [UInt8(bytes.count & 0x7f | 0x80), UInt8(bytes.count >> 7)] + bytes
  }

  // MARK: The cap on memory

  @Test("a message that would take more memory than its cap is refused, however few bytes it came in")
  func arenaCap() {
    // Each of these two bytes is an empty Scalars, of far more bytes in memory.
    let bytes = [UInt8](repeating: 0, count: 40_000).enumerated().flatMap { _ in [0x8a, 0x01, 0] as [UInt8] }
    #expect(error(TestAPI.Repeateds.self, bytes, limits: DecodingLimits(arenaBytes: 1 << 20)) == .tooLarge(limit: 1 << 20))
    #expect(error(TestAPI.Repeateds.self, bytes) == nil)
  }

  @Test("at every cap from nothing up, a message is either decoded whole or too large")
  func everyCap() throws {
    var generator = SeededGenerator(seed: 7)
    let message = generator.choices()
    let tree = generator.tree()
    var decoded = 0
    for cap in 0..<6000 {
      for failure in [
        error(TestAPI.Choices.self, try message.serialized(), limits: DecodingLimits(arenaBytes: cap)),
        error(TestAPI.Tree.self, try tree.serialized(), limits: DecodingLimits(arenaBytes: cap * 16)),
      ] {
        #expect(failure == nil || failure == .tooLarge(limit: cap) || failure == .tooLarge(limit: cap * 16))
        if failure == nil { decoded += 1 }
      }
    }
    #expect(decoded > 0)
  }

  // MARK: Chance

  @Test("a truncated message is malformed or another message, never a crash")
  func truncation() throws {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<20 {
      let bytes = try generator.tree().serialized()
      for count in 0..<bytes.count {
        let failure = error(TestAPI.Tree.self, Array(bytes[..<count]))
        #expect(failure == nil || failure == .malformed)
      }
    }
  }

  @Test("bytes changed by chance give a message or a typed error")
  func mutation() throws {
    let seed = seed(for: "MalformedInputTests.mutation", environment: ProcessInfo.processInfo.environment["FLORIN_TEST_SEED"])
    var generator = SeededGenerator(seed: seed)
    for round in 0..<4000 {
      var bytes = round % 2 == 0 ? try generator.repeateds().serialized() : try generator.tree().serialized()
      guard !bytes.isEmpty else { continue }
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        switch UInt8.random(in: 0..<3, using: &generator) {
        case 0: bytes[Int.random(in: 0..<bytes.count, using: &generator)] = generator.integer()
        case 1: bytes.insert(generator.integer(), at: Int.random(in: 0...bytes.count, using: &generator))
        default: if bytes.count > 1 { bytes.remove(at: Int.random(in: 0..<bytes.count, using: &generator)) }
        }
      }
      try expectStable(TestAPI.Repeateds.self, bytes)
      try expectStable(TestAPI.Tree.self, bytes)
      try expectStable(WireAPI.Frame.self, bytes)
    }
  }

  /// What is decoded from anything encodes to bytes that decode to the same.
  private func expectStable<Message: ProtobufMessage>(_: Message.Type, _ bytes: [UInt8]) throws {
    guard let message = try? Message(serialized: bytes) else { return }
    let encoded = try message.serialized()
    // Compared as bytes: a NaN is not equal to itself.
    #expect(try Message(serialized: encoded).serialized() == encoded)
  }
}
