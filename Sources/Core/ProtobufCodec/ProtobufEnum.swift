/// An open protobuf enum: a number that this schema has no name for is kept as `unrecognized` and encoded again unchanged.
public protocol ProtobufEnum: Sendable, Hashable, CaseIterable, CustomStringConvertible {
  /// The case of a number; `unrecognized` if the schema has none.
  init(rawValue: Int32)
  /// The number on the wire.
  var rawValue: Int32 { get }
  /// The name in the schema ("OUTCOME_POSTED"), or the number in decimals.
  var description: String { get }
}
