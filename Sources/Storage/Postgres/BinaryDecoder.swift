internal import Money

/// PostgreSQL's binary output formats, as far as we read them.
enum BinaryDecoder {
  private static func mismatch(_ wanted: String, _ type: UInt32) -> PostgresError {
    PostgresError(.typeMismatch, "is not \(wanted) but of the type with oid \(type): cast it in the statement")
  }

  private static func integer<I: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(PostgresError) -> I {
    guard offset >= 0, bytes.count - offset >= MemoryLayout<I>.size else { throw PostgresError(.typeMismatch, "is shorter than its type") }
    return I(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: I.self))
  }

  static func int64(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> Int64 {
    switch type {
    case TypeOID.int8: return try integer(bytes)
    case TypeOID.int4: return Int64(try integer(bytes) as Int32)
    case TypeOID.int2: return Int64(try integer(bytes) as Int16)
    case TypeOID.oid: return Int64(try integer(bytes) as UInt32)
    case TypeOID.numeric:
      let decimal = try numeric(bytes)
      let parts = decimal.split(separator: ".")
      guard let whole = parts.first, parts.count == 1 || parts[1].allSatisfy({ $0 == "0" }), let value = Int64(whole) else {
        throw PostgresError(.typeMismatch, "\(decimal) is not a whole number of 64 bits")
      }
      return value
    default: throw mismatch("an integer", type)
    }
  }

  static func text(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> String {
    switch type {
    case TypeOID.text, TypeOID.varchar, TypeOID.bpchar, TypeOID.name, TypeOID.char, TypeOID.json, TypeOID.firstOfUsers...:
      guard let text = String(validating: bytes, as: UTF8.self) else { throw PostgresError(.typeMismatch, "is not UTF-8") }
      return text
    case TypeOID.jsonb:
      // A version byte, then the text (jsonb_send).
      guard bytes.first == 1, let text = String(validating: bytes.dropFirst(), as: UTF8.self) else {
        throw mismatch("jsonb version 1", type)
      }
      return text
    case TypeOID.numeric: return try numeric(bytes)
    default: throw mismatch("text", type)
    }
  }

  static func bool(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> Bool {
    guard type == TypeOID.bool, bytes.count == 1 else { throw mismatch("a boolean", type) }
    return bytes[0] != 0
  }

  static func bytes(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> [UInt8] {
    guard type == TypeOID.bytea else { throw mismatch("bytea", type) }
    return Array(bytes)
  }

  static func uuid(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> UUID128 {
    guard type == TypeOID.uuid else { throw mismatch("a uuid", type) }
    return UUID128(high: try integer(bytes), low: try integer(bytes, at: 8))
  }

  static func timestamp(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> Timestamp {
    guard type == TypeOID.timestamptz else { throw mismatch("a timestamptz", type) }
    let microseconds: Int64 = try integer(bytes)
    let (shifted, overflow) = microseconds.addingReportingOverflow(PostgresEpoch.microseconds)
    // The extremes are -infinity and infinity.
    guard !overflow, microseconds != .min, microseconds != .max else { throw PostgresError(.typeMismatch, "is infinity") }
    return Timestamp(microseconds: shifted)
  }

  static func date(_ bytes: UnsafeRawBufferPointer, _ type: UInt32) throws(PostgresError) -> CivilDate {
    guard type == TypeOID.date else { throw mismatch("a date", type) }
    let days: Int32 = try integer(bytes)
    guard days != .min, days != .max else { throw PostgresError(.typeMismatch, "is infinity") }
    return CivilDate(daysSinceEpoch: Int64(days) + PostgresEpoch.days)
  }

  /// A one-dimensional or empty array.
  static func array<R>(
    _ bytes: UnsafeRawBufferPointer, _ element: (UnsafeRawBufferPointer, UInt32) throws(PostgresError) -> R
  ) throws(PostgresError) -> [R?] {
    let dimensions: Int32 = try integer(bytes)
    guard dimensions <= 1 else { throw PostgresError(.typeMismatch, "is an array of \(dimensions) dimensions, not one") }
    guard dimensions == 1 else { return [] }
    let type: UInt32 = try integer(bytes, at: 8)
    let count: Int32 = try integer(bytes, at: 12)
    var values: [R?] = []
    values.reserveCapacity(Int(count))
    var offset = 20
    for _ in 0..<count {
      let size: Int32 = try integer(bytes, at: offset)
      offset += 4
      guard size >= 0 else {
        values.append(nil)
        continue
      }
      guard bytes.count - offset >= Int(size) else { throw PostgresError(.typeMismatch, "is an array shorter than it says") }
      values.append(try element(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(size)]), type))
      offset += Int(size)
    }
    return values
  }

  /// Base-10,000 digits (numeric_send) as a plain decimal.
  static func numeric(_ bytes: UnsafeRawBufferPointer) throws(PostgresError) -> String {
    let count = Int(try integer(bytes) as Int16)
    let weight = Int(try integer(bytes, at: 2) as Int16)
    let sign: UInt16 = try integer(bytes, at: 4)
    let scale = Int(try integer(bytes, at: 6) as Int16)
    guard sign == 0 || sign == 0x4000 else { throw PostgresError(.typeMismatch, "is NaN or infinity") }
    var digits: [Int] = []
    for index in 0..<max(0, count) { digits.append(Int(try integer(bytes, at: 8 + 2 * index) as Int16)) }
    // The group with exponent `exponent` is digits[weight - exponent].
    func group(_ exponent: Int) -> String {
      let index = weight - exponent
      let digit = digits.indices.contains(index) ? digits[index] : 0
      let text = String(digit)
      return String(repeating: "0", count: max(0, 4 - text.count)) + text
    }
    var whole = ""
    if weight >= 0 { for exponent in (0...weight).reversed() { whole += group(exponent) } }
    whole = String(whole.drop { $0 == "0" })
    var text = (sign == 0x4000 ? "-" : "") + (whole.isEmpty ? "0" : whole)
    if scale > 0 {
      var fraction = ""
      var exponent = -1
      while fraction.count < scale {
        fraction += group(exponent)
        exponent -= 1
      }
      text += "." + fraction.prefix(scale)
    }
    return text
  }
}
