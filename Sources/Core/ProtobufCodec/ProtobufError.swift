/// Why bytes are not a message, or a message has no bytes.
public enum ProtobufError: Error, Equatable, Hashable, Sendable, CustomStringConvertible {
  /// The bytes do not follow the protobuf encoding, or a field has another wire type than its schema says.
  case malformed
  /// Messages stand deeper inside each other than the limit.
  case nestingTooDeep(limit: Int)
  /// In memory, the message takes more bytes than the limit.
  case tooLarge(limit: Int)
  /// A `string` field holds bytes that are not UTF-8. `field` is "Message.field".
  case invalidUTF8(field: String)
  /// A `string` field holds U+0000, which C code and PostgreSQL would cut off. `field` is "Message.field".
  case embeddedNUL(field: String)

  public var description: String {
    switch self {
    case .malformed: "the bytes are not a protobuf message of this type"
    case .nestingTooDeep(let limit): "messages are nested more than \(limit) deep: flatten them"
    case .tooLarge(let limit): "the message takes more than \(limit) bytes in memory: send less at once"
    case .invalidUTF8(let field): "\(field) is not UTF-8: use a bytes field for bytes"
    case .embeddedNUL(let field): "\(field) contains the character U+0000: remove it"
    }
  }
}
