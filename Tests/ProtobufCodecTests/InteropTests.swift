import FlorinAPI
import Foundation
import MeshProtocol
import ProtobufCodec
import Testing

/// Florin's codec against Google's protobuf, in both directions.
@Suite struct InteropTests {
  /// A type, and how its bytes are decoded and encoded here.
  private struct Codec: Sendable {
    var name: String
    var recode: @Sendable ([UInt8]) throws(ProtobufError) -> [UInt8]

    init<Message: ProtobufMessage>(_: Message.Type, _ name: String) {
      self.name = name
      recode = { (bytes) throws(ProtobufError) in try Message(serialized: bytes).serialized() }
    }
  }

  private static let canonical: [Codec] = [
    Codec(TestAPI.Scalars.self, "florin.test.v1.Scalars"), Codec(TestAPI.Repeateds.self, "florin.test.v1.Repeateds"),
    Codec(TestAPI.Choices.self, "florin.test.v1.Choices"), Codec(TestAPI.Nested.self, "florin.test.v1.Nested"),
    Codec(WireAPI.Frame.self, "florin.wire.v1.Frame"), Codec(WireAPI.Hello.self, "florin.wire.v1.Hello"),
    Codec(WireAPI.Open.self, "florin.wire.v1.Open"), Codec(WireAPI.Status.self, "florin.wire.v1.Status"),
    Codec(TypeAPI.TraceLine.self, "florin.type.v1.TraceLine"), Codec(LedgerAPI.PostRequest.self, "florin.ledger.v1.PostRequest"),
    Codec(LedgerAPI.PostResponse.self, "florin.ledger.v1.PostResponse"),
    Codec(LedgerAPI.TransferRecord.self, "florin.ledger.v1.TransferRecord"),
    Codec(LedgerAPI.GetStatementResponse.self, "florin.ledger.v1.GetStatementResponse"),
    Codec(PaymentAPI.Payment.self, "florin.payment.v1.Payment"), Codec(AccountAPI.Account.self, "florin.account.v1.Account"),
    Codec(NotificationAPI.ListResponse.self, "florin.notification.v1.ListResponse"),
  ]
  /// Map entries have no canonical order and two encodings of a default, so these are compared as messages.
  private static let withMaps: [Codec] = [
    Codec(TestAPI.Maps.self, "florin.test.v1.Maps"), Codec(TestAPI.Forest.self, "florin.test.v1.Forest"),
    Codec(TestAPI.Tree.self, "florin.test.v1.Tree"),
  ]

  @Test("what Google's protobuf encodes is decoded here and encoded again to the same bytes")
  func fromGoogle() throws {
    let first = UInt32.random(in: 0...UInt32.max >> 1)
    print("InteropTests.fromGoogle: seeds from \(first)")
    let asked = (Self.canonical + Self.withMaps).flatMap { codec in (0..<60).map { (codec, first + UInt32($0)) } }
    let answers = try GooglePeer.ask(asked.map { .random(type: $0.0.name, seed: $0.1) })
    var comparisons: [GooglePeer.Request] = []
    for ((codec, seed), answer) in zip(asked, answers) {
      guard case .bytes(let bytes) = answer else {
        Issue.record("\(codec.name), seed \(seed): \(answer)")
        continue
      }
      let ours = try codec.recode(bytes)
      if Self.withMaps.contains(where: { $0.name == codec.name }) {
        comparisons.append(.same(type: codec.name, bytes, ours))
      } else {
        #expect(ours == bytes, "\(codec.name), seed \(seed)")
      }
    }
    for (request, answer) in zip(comparisons, try GooglePeer.ask(comparisons)) { #expect(answer == .same(true), "\(request)") }
  }

  @Test("what is encoded here is decoded by Google's protobuf and encoded again to the same bytes")
  func toGoogle() throws {
    let seed = seed(for: "InteropTests.toGoogle", environment: ProcessInfo.processInfo.environment["FLORIN_TEST_SEED"])
    var generator = SeededGenerator(seed: seed)
    var sent: [(type: String, bytes: [UInt8])] = []
    for _ in 0..<60 {
      sent.append(("florin.test.v1.Scalars", try generator.scalars().serialized()))
      sent.append(("florin.test.v1.Repeateds", try generator.repeateds().serialized()))
      sent.append(("florin.test.v1.Choices", try generator.choices().serialized()))
      sent.append(("florin.test.v1.Nested", try generator.nested().serialized()))
      sent.append(("florin.test.v1.Tree", try generator.tree().serialized()))
    }
    for (message, answer) in zip(sent, try GooglePeer.ask(sent.map { .parse(type: $0.type, $0.bytes) })) {
      #expect(answer == .bytes(message.bytes), "\(message.type), seed \(seed)")
    }
    let maps = try (0..<60).map { _ in try generator.maps().serialized() }
    let answers = try GooglePeer.ask(maps.map { .parse(type: "florin.test.v1.Maps", $0) })
    var comparisons: [GooglePeer.Request] = []
    for (bytes, answer) in zip(maps, answers) {
      guard case .bytes(let theirs) = answer else {
        Issue.record("Google's protobuf refused maps, seed \(seed)")
        continue
      }
      comparisons.append(.same(type: "florin.test.v1.Maps", bytes, try TestAPI.Maps(serialized: theirs).serialized()))
    }
    for answer in try GooglePeer.ask(comparisons) { #expect(answer == .same(true), "seed \(seed)") }
  }

  @Test("each field has the name that the schema gives it")
  func fieldByField() throws {
    let scalars = TestAPI.Scalars(
      doubleValue: 1.5, floatValue: -2.5, int32Value: -3, int64Value: -4, uint32Value: 5, uint64Value: 6, sint32Value: -7,
      sint64Value: -8, fixed32Value: 9, fixed64Value: 10, sfixed32Value: -11, sfixed64Value: -12, boolValue: true,
      stringValue: "fourteen €", bytesValue: [15, 0], colour: .deepBlue, farValue: "far")
    let scalarsJSON = """
      {"doubleValue": 1.5, "floatValue": -2.5, "int32Value": -3, "int64Value": "-4", "uint32Value": 5, "uint64Value": "6", \
      "sint32Value": -7, "sint64Value": "-8", "fixed32Value": 9, "fixed64Value": "10", "sfixed32Value": -11, "sfixed64Value": "-12", \
      "boolValue": true, "stringValue": "fourteen €", "bytesValue": "DwA=", "colour": "COLOUR_DEEP_BLUE", "farValue": "far"}
      """
    let vectors: [(type: String, json: String, bytes: [UInt8])] = [
      ("florin.test.v1.Scalars", scalarsJSON, try scalars.serialized()),
      (
        "florin.test.v1.Repeateds",
        """
        {"doubleValues": [1], "floatValues": [2], "int32Values": [-3, 3], "int64Values": ["-4"], "uint32Values": [5], "uint64Values": ["6"], \
        "sint32Values": [-7], "sint64Values": ["-8"], "fixed32Values": [9], "fixed64Values": ["10"], "sfixed32Values": [-11], \
        "sfixed64Values": ["-12"], "boolValues": [true, false], "stringValues": ["a", ""], "bytesValues": ["DwA=", ""], \
        "colours": ["COLOUR_RED", "COLOUR_INFRARED"], "scalars": [\(scalarsJSON), {}]}
        """,
        try TestAPI.Repeateds(
          doubleValues: [1], floatValues: [2], int32Values: [-3, 3], int64Values: [-4], uint32Values: [5], uint64Values: [6],
          sint32Values: [-7], sint64Values: [-8], fixed32Values: [9], fixed64Values: [10], sfixed32Values: [-11],
          sfixed64Values: [-12], boolValues: [true, false], stringValues: ["a", ""], bytesValues: [[15, 0], []],
          colours: [.red, .infrared], scalars: [scalars, TestAPI.Scalars()]
        ).serialized()
      ),
      (
        "florin.test.v1.Maps",
        #"{"counts": {"a": "1"}, "names": {"2": "b"}, "scalars": {"c": \#(scalarsJSON)}, "colours": {"d": "COLOUR_ULTRA_VIOLET"}}"#,
        try TestAPI.Maps(
          counts: [.init(key: "a", value: 1)], names: [.init(key: 2, value: "b")], scalars: [.init(key: "c", value: scalars)],
          colours: [.init(key: "d", value: .ultraViolet)]
        ).serialized()
      ),
      ("florin.test.v1.Choices", #"{"number": "1"}"#, try TestAPI.Choices(choice: .number(1)).serialized()),
      (
        "florin.test.v1.Choices", #"{"text": "t", "small": 8}"#,
        try TestAPI.Choices(choice: .text("t"), otherChoice: .small(8)).serialized()
      ),
      ("florin.test.v1.Choices", #"{"blob": "AQ=="}"#, try TestAPI.Choices(choice: .blob([1])).serialized()),
      ("florin.test.v1.Choices", #"{"flag": false}"#, try TestAPI.Choices(choice: .flag(false)).serialized()),
      ("florin.test.v1.Choices", #"{"colour": "COLOUR_RED"}"#, try TestAPI.Choices(choice: .colour(.red)).serialized()),
      (
        "florin.test.v1.Choices", #"{"scalars": {"int32Value": 1}}"#,
        try TestAPI.Choices(choice: .scalars(.init(int32Value: 1))).serialized()
      ),
      ("florin.test.v1.Choices", #"{"ratio": 0.5, "after": "x"}"#, try TestAPI.Choices(after: "x", choice: .ratio(0.5)).serialized()),
      (
        "florin.test.v1.Nested",
        """
        {"inner": {"innermost": {"note": "n"}, "mood": "MOOD_CALM", "id": 1}, "default": "d", "self": "s", "in": true, \
        "eventId": "e", "resourceUrl": "u"}
        """,
        try TestAPI.Nested(
          inner: .init(innermost: .init(note: "n"), mood: .calm, id: 1), default: "d", self_: "s", in: true, eventID: "e",
          resourceURL: "u"
        ).serialized()
      ),
      (
        "florin.test.v1.Tree",
        #"{"label": "a", "only": {"label": "b"}, "branches": [{"label": "c"}], "grafted": {"label": "d"}}"#,
        try TestAPI.Tree(
          label: "a", only: .init(label: "b"), branches: [.init(label: "c")], kind: .grafted(.init(label: "d"))
        ).serialized()
      ),
      (
        "florin.ledger.v1.PostRequest",
        """
        {"linked": true, "postings": [{"id": "i", "transfer": {"debitAccountId": "D", "creditAccountId": "C", \
        "amount": {"minorUnits": "10000", "currency": "GBP"}, "type": "payment_debit", "referenceId": "R", "valueDate": 20000}}]}
        """,
        try LedgerAPI.PostRequest(
          postings: [
            .init(
              id: "i",
              body: .transfer(
                .init(
                  debitAccountID: "D", creditAccountID: "C", amount: .init(minorUnits: 10000, currency: "GBP"), type: "payment_debit",
                  referenceID: "R", valueDate: 20000)))
          ], linked: true
        ).serialized()
      ),
      (
        "florin.wire.v1.Frame",
        """
        {"streamId": 3, "mustUnderstand": true, "status": {"code": 9, "message": "no", "details": [{"typeUrl": "t", "value": "AA=="}], \
        "trailers": [{"key": "k", "value": "dg=="}], "origin": "ORIGIN_APPLICATION", "executed": "EXECUTED_YES"}}
        """,
        try WireAPI.Frame(
          streamID: 3, mustUnderstand: true,
          kind: .status(
            .init(
              code: 9, message: "no", details: [.init(typeURL: "t", value: [0])], trailers: [.init(key: "k", value: [0x76])],
              origin: .application, executed: .yes))
        ).serialized()
      ),
    ]
    let answers = try GooglePeer.ask(vectors.map { .json(type: $0.type, $0.json) })
    for (vector, answer) in zip(vectors, answers) { #expect(answer == .bytes(vector.bytes), "\(vector.type) \(vector.json)") }
  }

  @Test("at every truncation, Google's protobuf and this codec agree whether it is a message, and on its bytes")
  func truncations() throws {
    let seed = seed(for: "InteropTests.truncations", environment: ProcessInfo.processInfo.environment["FLORIN_TEST_SEED"])
    var generator = SeededGenerator(seed: seed)
    let nested = Codec(TestAPI.Nested.self, "florin.test.v1.Nested")
    let repeateds = TestAPI.Repeateds(int32Values: [1, -1, 300], stringValues: ["a", "bc"], scalars: [.init(int64Value: 5)])
    let messages: [(Codec, [UInt8])] = [
      (Self.canonical[0], try generator.scalars().serialized()), (Self.canonical[2], try generator.choices().serialized()),
      (nested, try generator.nested().serialized()), (Self.canonical[1], try repeateds.serialized()),
    ]
    let cuts = messages.flatMap { codec, bytes in (0..<bytes.count).map { (codec, Array(bytes[..<$0])) } }
    for ((codec, bytes), answer) in zip(cuts, try GooglePeer.ask(cuts.map { .parse(type: $0.0.name, $0.1) })) {
      do {
        let recoded = try codec.recode(bytes)
        #expect(answer == .bytes(recoded), "\(codec.name) \(hexadecimal(bytes)), seed \(seed)")
      } catch {
        #expect(answer == .refused, "\(error) for \(codec.name) \(hexadecimal(bytes)), seed \(seed)")
        #expect(error == .malformed)
      }
    }
  }
}
