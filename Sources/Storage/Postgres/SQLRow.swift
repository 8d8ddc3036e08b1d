public import Money

/// One row of a result; columns are read by name. Reading throws `.unknownColumn`, `.unexpectedNull` or `.typeMismatch`.
public struct SQLRow: Sendable {
  let storage: ResultStorage
  let index: Int

  public var columns: [String] { storage.layout.names }

  public func isNull(_ column: String) throws(PostgresError) -> Bool {
    try field(column) { _, _ throws(PostgresError) in true } == nil
  }

  /// bigint, integer, smallint, oid; numeric if it is a whole number within range (the type of `SUM(bigint)`).
  public func int64(_ column: String) throws(PostgresError) -> Int64 { try present(column, int64OrNil(column)) }
  public func int64OrNil(_ column: String) throws(PostgresError) -> Int64? { try field(column, BinaryDecoder.int64) }

  /// As `int64`, within 32 bits.
  public func int32(_ column: String) throws(PostgresError) -> Int32 { try present(column, int32OrNil(column)) }
  public func int32OrNil(_ column: String) throws(PostgresError) -> Int32? {
    guard let value = try int64OrNil(column) else { return nil }
    guard let narrow = Int32(exactly: value) else { throw PostgresError(.typeMismatch, "column \(column) is beyond 32 bits") }
    return narrow
  }

  /// text, varchar, char, name, json, jsonb, enums; numeric as a plain decimal.
  public func text(_ column: String) throws(PostgresError) -> String { try present(column, textOrNil(column)) }
  public func textOrNil(_ column: String) throws(PostgresError) -> String? { try field(column, BinaryDecoder.text) }

  public func bool(_ column: String) throws(PostgresError) -> Bool { try present(column, boolOrNil(column)) }
  public func boolOrNil(_ column: String) throws(PostgresError) -> Bool? { try field(column, BinaryDecoder.bool) }

  public func bytes(_ column: String) throws(PostgresError) -> [UInt8] { try present(column, bytesOrNil(column)) }
  public func bytesOrNil(_ column: String) throws(PostgresError) -> [UInt8]? { try field(column, BinaryDecoder.bytes) }

  public func uuid(_ column: String) throws(PostgresError) -> UUID128 { try present(column, uuidOrNil(column)) }
  public func uuidOrNil(_ column: String) throws(PostgresError) -> UUID128? { try field(column, BinaryDecoder.uuid) }

  /// timestamptz. "infinity" is a type mismatch.
  public func timestamp(_ column: String) throws(PostgresError) -> Timestamp { try present(column, timestampOrNil(column)) }
  public func timestampOrNil(_ column: String) throws(PostgresError) -> Timestamp? { try field(column, BinaryDecoder.timestamp) }

  public func date(_ column: String) throws(PostgresError) -> CivilDate { try present(column, dateOrNil(column)) }
  public func dateOrNil(_ column: String) throws(PostgresError) -> CivilDate? { try field(column, BinaryDecoder.date) }

  /// bigint[] or integer[] without NULLs.
  public func int64Array(_ column: String) throws(PostgresError) -> [Int64] { try array(column, BinaryDecoder.int64) }
  /// text[] or varchar[] without NULLs.
  public func textArray(_ column: String) throws(PostgresError) -> [String] { try array(column, BinaryDecoder.text) }
  /// text[] with NULLs.
  public func nullableTextArray(_ column: String) throws(PostgresError) -> [String?] { try nullableArray(column, BinaryDecoder.text) }
  public func uuidArray(_ column: String) throws(PostgresError) -> [UUID128] { try array(column, BinaryDecoder.uuid) }
  public func bytesArray(_ column: String) throws(PostgresError) -> [[UInt8]] { try array(column, BinaryDecoder.bytes) }

  private typealias Decode<R> = (UnsafeRawBufferPointer, UInt32) throws(PostgresError) -> R

  private func field<R>(_ column: String, _ decode: Decode<R>) throws(PostgresError) -> R? {
    guard let position = storage.layout.index(of: column) else {
      throw PostgresError(.unknownColumn, "the result has no column \(column); it has \(columns.joined(separator: ", "))")
    }
    let type = storage.layout.types[position]
    do {
      return try storage.withField(index, position) { bytes throws(PostgresError) in try decode(bytes, type) }
    } catch {
      var error = error
      error.column = column
      error.message = "column \(column): " + error.message
      throw error
    }
  }

  private func present<R>(_ column: String, _ value: R?) throws(PostgresError) -> R {
    guard let value else { throw PostgresError(.unexpectedNull, "column \(column) is null", column: column) }
    return value
  }

  private func nullableArray<R>(_ column: String, _ decode: Decode<R>) throws(PostgresError) -> [R?] {
    try present(column, field(column) { bytes, _ throws(PostgresError) in try BinaryDecoder.array(bytes, decode) })
  }

  private func array<R>(_ column: String, _ decode: Decode<R>) throws(PostgresError) -> [R] {
    var values: [R] = []
    for value in try nullableArray(column, decode) {
      guard let value else { throw PostgresError(.unexpectedNull, "an element of column \(column) is null", column: column) }
      values.append(value)
    }
    return values
  }
}
