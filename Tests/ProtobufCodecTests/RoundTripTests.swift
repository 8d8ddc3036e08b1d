import FlorinAPI
import Foundation
import MeshProtocol
import ProtobufCodec
import Testing

@Suite struct RoundTripTests {
  private func expectRoundTrip(_ message: some ProtobufMessage, _ comment: Comment? = nil) throws {
    let bytes = try message.serialized()
    func decoded<Message: ProtobufMessage>(as _: Message) throws -> [UInt8] { try Message(serialized: bytes).serialized() }
    #expect(try decoded(as: message) == bytes, comment)
    func equal<Message: ProtobufMessage>(_ message: Message) throws -> Bool { try Message(serialized: bytes) == message }
    #expect(try equal(message), comment)
  }

  @Test("every kind of field survives encoding and decoding, whatever its value")
  func randomValues() throws {
    let seed = seed(for: "RoundTripTests.randomValues", environment: ProcessInfo.processInfo.environment["FLORIN_TEST_SEED"])
    var generator = SeededGenerator(seed: seed)
    for round in 0..<300 {
      try expectRoundTrip(generator.scalars(), "seed \(seed), round \(round)")
      try expectRoundTrip(generator.repeateds(), "seed \(seed), round \(round)")
      try expectRoundTrip(generator.choices(), "seed \(seed), round \(round)")
      try expectRoundTrip(generator.nested(), "seed \(seed), round \(round)")
      try expectRoundTrip(generator.maps(), "seed \(seed), round \(round)")
      try expectRoundTrip(generator.tree(), "seed \(seed), round \(round)")
    }
  }

  @Test("the same message always has the same bytes")
  func deterministic() throws {
    var generator = SeededGenerator(seed: 42)
    let message = generator.repeateds()
    let bytes = try message.serialized()
    for _ in 0..<50 { #expect(try message.serialized() == bytes) }
  }

  @Test("a message of defaults takes no bytes, and no bytes are a message of defaults")
  func empty() throws {
    #expect(try TestAPI.Scalars().serialized() == [])
    #expect(try TestAPI.Scalars(serialized: []) == TestAPI.Scalars())
    #expect(try TestAPI.Empty(serialized: []).serialized() == [])
    #expect(try TestAPI.Tree(serialized: []) == TestAPI.Tree())
  }

  @Test("a oneof keeps its member even at the member's default")
  func oneofAtDefault() throws {
    let defaults: [TestAPI.Choices.Choice] = [
      .number(0), .text(""), .blob([]), .flag(false), .colour(.unspecified), .scalars(.init()), .ratio(0),
    ]
    for choice in defaults {
      let message = TestAPI.Choices(choice: choice)
      #expect(try TestAPI.Choices(serialized: message.serialized()) == message)
    }
  }

  @Test("an absent message and an empty one are two things")
  func presence() throws {
    let empty = TestAPI.Nested(inner: TestAPI.Nested.Inner())
    #expect(try TestAPI.Nested(serialized: empty.serialized()).inner == TestAPI.Nested.Inner())
    #expect(try TestAPI.Nested(serialized: []).inner == nil)
  }

  @Test("an enum's unknown number survives, a known one has its case")
  func openEnums() throws {
    let message = try TestAPI.Scalars(serialized: TestAPI.Scalars(colour: .unrecognized(3)).serialized())
    #expect(message.colour == .unrecognized(3))
    #expect(message.colour.description == "3")
    #expect(try TestAPI.Scalars(serialized: TestAPI.Scalars(colour: .infrared).serialized()).colour == .infrared)
    #expect(TestAPI.Colour(rawValue: 2) == .deepBlue)
    #expect(TestAPI.Colour.deepBlue.description == "COLOUR_DEEP_BLUE")
    #expect(TestAPI.Colour.allCases.map(\.rawValue) == [0, 1, 2, 4, -1])
  }

  @Test("fields of a newer schema are passed over")
  func unknownFields() throws {
    let newer = TestAPI.Newer(int32Value: 7, added: "new", addedMessage: TestAPI.Scalars(stringValue: "inside"))
    #expect(try TestAPI.Scalars(serialized: newer.serialized()) == TestAPI.Scalars(int32Value: 7))
  }

  @Test("the last of several values of one field counts, and messages are merged")
  func repeatedOnTheWire() throws {
    let one = try TestAPI.Nested(inner: .init(innermost: .init(note: "kept"), id: 1), eventID: "first").serialized()
    let two = try TestAPI.Nested(inner: .init(id: 2), eventID: "second").serialized()
    let merged = try TestAPI.Nested(serialized: one + two)
    #expect(merged == TestAPI.Nested(inner: .init(innermost: .init(note: "kept"), id: 2), eventID: "second"))
  }

  @Test("numbers are taken packed and unpacked")
  func packing() throws {
    #expect(try TestAPI.Repeateds(int32Values: [1, 2]).serialized() == [0x1a, 2, 1, 2])
    #expect(try TestAPI.Repeateds(serialized: [0x18, 1, 0x18, 2]).int32Values == [1, 2])
    #expect(try TestAPI.Repeateds(serialized: [0x18, 1, 0x1a, 2, 2, 3]).int32Values == [1, 2, 3])
  }

  @Test("room is left before the bytes when it is asked for")
  func headroom() throws {
    let message = TestAPI.Scalars(stringValue: "text")
    #expect(try message.serialized(headroom: 4) == [0, 0, 0, 0] + message.serialized())
    #expect(try TestAPI.Empty().serialized(headroom: 3) == [0, 0, 0])
  }

  @Test("bytes are decoded in place from a buffer")
  func fromBuffer() throws {
    let message = LedgerAPI.GetBalanceResponse(
      accountID: "ACC1", posted: TypeAPI.Money(minorUnits: -5, currency: "GBP"), status: .frozen)
    let frame = [0xff, 0xff] + (try message.serialized()) + [0xff]
    let decoded = try frame.withUnsafeBytes { buffer in
      try LedgerAPI.GetBalanceResponse(serialized: UnsafeRawBufferPointer(rebasing: buffer[2..<buffer.count - 1]))
    }
    #expect(decoded == message)
  }

  @Test("many tasks encode and decode at once")
  func concurrent() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<16 {
        group.addTask { () async throws in
          var generator = SeededGenerator(seed: UInt64(task))
          for _ in 0..<100 {
            let message = generator.tree()
            #expect(try TestAPI.Tree(serialized: message.serialized()) == message)
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
