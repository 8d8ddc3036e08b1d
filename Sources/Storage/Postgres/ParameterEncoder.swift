internal import Money

/// Parameters of one statement in PostgreSQL's binary format, one after another in a single buffer.
/// (Formats: the `*send` functions of src/backend/utils/adt; arrays: `array_send` in arrayfuncs.c.)
struct ParameterEncoder {
  /// Where each parameter lies in `buffer`; nil is NULL.
  private(set) var ranges: [Range<Int>?] = []
  private(set) var types: [UInt32] = []
  private(set) var buffer: [UInt8] = []

  init(_ values: [SQLValue]) throws(PostgresError) {
    guard values.count <= 65_535 else { throw PostgresError(.misuse, "a statement takes at most 65,535 parameters; use arrays") }
    ranges.reserveCapacity(values.count)
    types.reserveCapacity(values.count)
    buffer.reserveCapacity(values.count * 16)
    for value in values {
      types.append(Self.type(of: value))
      let start = buffer.count
      if case .null = value {
        ranges.append(nil)
      } else {
        try append(value)
        ranges.append(start..<buffer.count)
      }
    }
    guard buffer.count < Int(Int32.max) else { throw PostgresError(.misuse, "the parameters of a statement exceed 2 GiB") }
  }

  static func type(of value: SQLValue) -> UInt32 {
    switch value {
    case .null: 0
    case .bool: TypeOID.bool
    case .int32: TypeOID.int4
    case .int64: TypeOID.int8
    case .text: TypeOID.text
    case .bytes: TypeOID.bytea
    case .uuid: TypeOID.uuid
    case .timestamp: TypeOID.timestamptz
    case .date: TypeOID.date
    case .boolArray: TypeOID.boolArray
    case .int32Array: TypeOID.int4Array
    case .int64Array, .nullableInt64Array: TypeOID.int8Array
    case .textArray, .nullableTextArray: TypeOID.textArray
    case .bytesArray, .nullableBytesArray: TypeOID.byteaArray
    case .uuidArray, .nullableUUIDArray: TypeOID.uuidArray
    case .timestampArray, .nullableTimestampArray: TypeOID.timestamptzArray
    case .dateArray: TypeOID.dateArray
    }
  }

  private mutating func append(_ value: SQLValue) throws(PostgresError) {
    switch value {
    case .null: break
    case .bool(let value): buffer.append(value ? 1 : 0)
    case .int32(let value): append(value)
    case .int64(let value): append(value)
    case .text(let value): try append(text: value)
    case .bytes(let value): buffer.append(contentsOf: value)
    case .uuid(let value): append(value)
    case .timestamp(let value): try append(value)
    case .date(let value): try append(value)
    case .boolArray(let values):
      header(values.count, TypeOID.bool)
      for value in values { element(size: 1) { $0.buffer.append(value ? 1 : 0) } }
    case .int32Array(let values):
      header(values.count, TypeOID.int4)
      for value in values { element(size: 4) { $0.append(value) } }
    case .int64Array(let values):
      header(values.count, TypeOID.int8)
      for value in values { element(size: 8) { $0.append(value) } }
    case .textArray(let values):
      header(values.count, TypeOID.text)
      for value in values { try sizedElement { encoder throws(PostgresError) in try encoder.append(text: value) } }
    case .bytesArray(let values):
      header(values.count, TypeOID.bytea)
      for value in values { element(size: value.count) { $0.buffer.append(contentsOf: value) } }
    case .uuidArray(let values):
      header(values.count, TypeOID.uuid)
      for value in values { element(size: 16) { $0.append(value) } }
    case .timestampArray(let values):
      header(values.count, TypeOID.timestamptz)
      for value in values { try sizedElement { encoder throws(PostgresError) in try encoder.append(value) } }
    case .dateArray(let values):
      header(values.count, TypeOID.date)
      for value in values { try sizedElement { encoder throws(PostgresError) in try encoder.append(value) } }
    case .nullableInt64Array(let values):
      try nullable(values, TypeOID.int8) { encoder, value throws(PostgresError) in encoder.append(value) }
    case .nullableTextArray(let values):
      try nullable(values, TypeOID.text) { encoder, value throws(PostgresError) in try encoder.append(text: value) }
    case .nullableBytesArray(let values):
      try nullable(values, TypeOID.bytea) { encoder, value throws(PostgresError) in encoder.buffer.append(contentsOf: value) }
    case .nullableUUIDArray(let values):
      try nullable(values, TypeOID.uuid) { encoder, value throws(PostgresError) in encoder.append(value) }
    case .nullableTimestampArray(let values):
      try nullable(values, TypeOID.timestamptz) { encoder, value throws(PostgresError) in try encoder.append(value) }
    }
  }

  private mutating func append<I: FixedWidthInteger>(_ value: I) {
    withUnsafeBytes(of: value.bigEndian) { buffer.append(contentsOf: $0) }
  }

  private mutating func append(_ value: UUID128) {
    append(value.high)
    append(value.low)
  }

  private mutating func append(_ value: Timestamp) throws(PostgresError) {
    let (shifted, overflow) = value.microseconds.subtractingReportingOverflow(PostgresEpoch.microseconds)
    guard !overflow else { throw PostgresError(.misuse, "a timestamp lies before what PostgreSQL can hold") }
    append(shifted)
  }

  private mutating func append(_ value: CivilDate) throws(PostgresError) {
    let (shifted, overflow) = value.daysSinceEpoch.subtractingReportingOverflow(PostgresEpoch.days)
    guard !overflow, let days = Int32(exactly: shifted) else { throw PostgresError(.misuse, "a date lies beyond what PostgreSQL can hold") }
    append(days)
  }

  private mutating func append(text: String) throws(PostgresError) {
    guard !text.utf8.contains(0) else { throw PostgresError(.misuse, "a text parameter contains U+0000, which PostgreSQL cannot hold") }
    buffer.append(contentsOf: text.utf8)
  }

  /// One dimension, lower bound 1. An empty array has no dimension at all.
  private mutating func header(_ count: Int, _ elementType: UInt32, hasNull: Bool = false) {
    buffer.reserveCapacity(buffer.count + 20 + count * 20)
    append(Int32(count == 0 ? 0 : 1))
    append(Int32(hasNull ? 1 : 0))
    append(elementType)
    guard count > 0 else { return }
    append(Int32(truncatingIfNeeded: count))
    append(Int32(1))
  }

  private mutating func element(size: Int, _ body: (inout ParameterEncoder) -> Void) {
    append(Int32(truncatingIfNeeded: size))
    body(&self)
  }

  private mutating func sizedElement(_ body: (inout ParameterEncoder) throws(PostgresError) -> Void) throws(PostgresError) {
    let place = buffer.count
    append(Int32(0))
    try body(&self)
    let size = Int32(truncatingIfNeeded: buffer.count - place - 4)
    withUnsafeBytes(of: size.bigEndian) { bytes in
      for (offset, byte) in bytes.enumerated() { buffer[place + offset] = byte }
    }
  }

  private mutating func nullable<T>(
    _ values: [T?], _ elementType: UInt32, _ body: (inout ParameterEncoder, T) throws(PostgresError) -> Void
  ) throws(PostgresError) {
    header(values.count, elementType, hasNull: values.contains { $0 == nil })
    for value in values {
      if let value {
        try sizedElement { encoder throws(PostgresError) in try body(&encoder, value) }
      } else {
        append(Int32(-1))
      }
    }
  }
}
