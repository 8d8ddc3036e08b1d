/// One .proto file, as far as code is generated from it.
struct ProtoFile {
  var name: String
  var package: String
  /// The comment above `package`.
  var comment: String
  var messages: [ProtoMessage]
  var enums: [ProtoEnum]
  var services: [ProtoService]
}

struct ProtoMessage {
  var name: String
  /// With its package and outer messages, without a leading dot.
  var fullName: String
  var comment: String
  var fields: [ProtoField]
  var oneofs: [ProtoOneof]
  var messages: [ProtoMessage]
  var enums: [ProtoEnum]

  /// It and those inside it.
  var all: [ProtoMessage] { [self] + messages.flatMap(\.all) }
  var allEnums: [ProtoEnum] { enums + messages.flatMap(\.allEnums) }
}

struct ProtoField {
  enum Kind: Hashable {
    case double, float, int32, int64, uint32, uint64, bool, string, bytes
    /// Full name, without a leading dot.
    case message(String)
    case `enum`(String)
  }

  var name: String
  var number: Int32
  var kind: Kind
  var isRepeated: Bool
  /// Index in the message's `oneofs`.
  var oneof: Int?
  var comment: String

  var messageName: String? { if case .message(let name) = kind { name } else { nil } }
}

struct ProtoOneof {
  var name: String
  var comment: String
}

struct ProtoEnum {
  struct Value {
    var name: String
    var number: Int32
    var comment: String
  }

  var name: String
  var fullName: String
  var comment: String
  var values: [Value]
}

struct ProtoService {
  struct Method {
    enum Idempotency { case unknown, noSideEffects, idempotent }

    var name: String
    var comment: String
    /// Full names, without a leading dot.
    var input: String
    var output: String
    var idempotency: Idempotency
  }

  var name: String
  var fullName: String
  var comment: String
  var methods: [Method]
}

/// Why no code is generated; shown by protoc.
struct GenerationError: Error {
  var message: String

  init(_ message: String) { self.message = message }
}
