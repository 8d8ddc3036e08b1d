public import Money

/// A parameter of a statement. Each case declares its PostgreSQL type to the server, so `$1` needs a cast only where the
/// column's type has no assignment from it (an enum or jsonb column: write `$1::text::jsonb`).
public enum SQLValue: Sendable, Hashable {
  /// NULL of whatever type the server infers. Where it cannot infer one, write a cast: `$1::uuid`.
  case null
  case bool(Bool)
  case int32(Int32)
  case int64(Int64)
  /// Must not contain U+0000, which PostgreSQL's text cannot hold.
  case text(String)
  case bytes([UInt8])
  case uuid(UUID128)
  case timestamp(Timestamp)
  case date(CivilDate)
  case boolArray([Bool])
  case int32Array([Int32])
  case int64Array([Int64])
  case textArray([String])
  case bytesArray([[UInt8]])
  case uuidArray([UUID128])
  case timestampArray([Timestamp])
  case dateArray([CivilDate])
  case nullableInt64Array([Int64?])
  case nullableTextArray([String?])
  case nullableBytesArray([[UInt8]?])
  case nullableUUIDArray([UUID128?])
  case nullableTimestampArray([Timestamp?])

  public static func text(orNull value: String?) -> SQLValue { value.map(SQLValue.text) ?? .null }
  public static func int64(orNull value: Int64?) -> SQLValue { value.map(SQLValue.int64) ?? .null }
  public static func bytes(orNull value: [UInt8]?) -> SQLValue { value.map(SQLValue.bytes) ?? .null }
  public static func uuid(orNull value: UUID128?) -> SQLValue { value.map(SQLValue.uuid) ?? .null }
  public static func timestamp(orNull value: Timestamp?) -> SQLValue { value.map(SQLValue.timestamp) ?? .null }
}
