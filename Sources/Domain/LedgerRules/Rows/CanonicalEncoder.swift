internal import Money

/// Values as bytes, one way only: every field has its length before it, so no two rows encode alike.
///
/// A field is a big-endian UInt32 length and that many bytes; an absent one is the length 0xffffffff alone. Integers are eight
/// bytes big-endian, text is UTF-8, a UUID its sixteen bytes, an instant its microseconds, a day its number since 1970-01-01.
/// The first two fields name the domain and the version of the encoding.
struct CanonicalEncoder {
  static let version: Int64 = 1

  private(set) var bytes: [UInt8] = []

  init(domain: String, reserving capacity: Int = 384) {
    bytes.reserveCapacity(capacity)
    append(domain)
    append(Self.version)
  }

  mutating func append(_ value: Int64) {
    appendLength(8)
    appendBigEndian(UInt64(bitPattern: value))
  }

  mutating func append(_ value: UUID128) {
    appendLength(16)
    appendBigEndian(value.high)
    appendBigEndian(value.low)
  }

  mutating func append(_ value: String) {
    appendLength(value.utf8.count)
    bytes.append(contentsOf: value.utf8)
  }

  mutating func append(_ value: [UInt8]) {
    appendLength(value.count)
    bytes.append(contentsOf: value)
  }

  mutating func append(_ value: Timestamp) { append(value.microseconds) }

  mutating func append(_ value: Int64?) { if let value { append(value) } else { appendAbsent() } }
  mutating func append(_ value: UUID128?) { if let value { append(value) } else { appendAbsent() } }
  mutating func append(_ value: String?) { if let value { append(value) } else { appendAbsent() } }

  private mutating func appendAbsent() { appendBigEndian(UInt32.max) }
  private mutating func appendLength(_ count: Int) { appendBigEndian(UInt32(count)) }

  private mutating func appendBigEndian(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }
}
