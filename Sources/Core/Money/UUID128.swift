internal import Digest

/// A UUID (RFC 9562) as 16 bytes, without Foundation.
public struct UUID128: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Nil unless there are exactly 16 bytes.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    self.init(
      high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// Parses the 36-character form, either case. Nil for anything else.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard characters.count == 36 else { return nil }
    var bytes: [UInt8] = []
    var index = 0
    func nibble(_ c: UInt8) -> UInt8? {
      switch c {
      case 0x30...0x39: c - 0x30
      case 0x61...0x66: c - 0x61 + 10
      case 0x41...0x46: c - 0x41 + 10
      default: nil
      }
    }
    while index < 36 {
      if [8, 13, 18, 23].contains(index) {
        guard characters[index] == 0x2d else { return nil }
        index += 1
        continue
      }
      guard let one = nibble(characters[index]), let two = nibble(characters[index + 1]) else { return nil }
      bytes.append(one << 4 | two)
      index += 2
    }
    self.init(bytes: bytes)
  }

  public var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64($0))) }
      + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64($0))) }
  }

  /// Lower case with hyphens.
  public var description: String {
    let hex = hexadecimal(bytes)
    var out = ""
    for (index, character) in hex.enumerated() {
      if [8, 12, 16, 20].contains(index) { out.append("-") }
      out.append(character)
    }
    return out
  }

  public static func < (a: UUID128, b: UUID128) -> Bool { (a.high, a.low) < (b.high, b.low) }

  public var version: Int { Int(high >> 12 & 0xf) }
  /// Variant bits 10 of RFC 9562.
  public var isRFCVariant: Bool { low >> 62 == 0b10 }

  /// The milliseconds since 1970 that versions 7 and our form of version 8 start with.
  public var timestampMilliseconds: Int64 { Int64(high >> 16) }

  private init(stamping high: UInt64, _ low: UInt64, version: UInt64) {
    self.init(high: high & ~0xf000 | version << 12, low: low & (.max >> 2) | 1 << 63)
  }

  /// 48 bits of milliseconds in the highest bits. Instants before 1970 have no place in them and count as 1970.
  private static func stamp(_ time: Timestamp) -> UInt64 { UInt64(max(0, time.milliseconds)) << 16 }

  /// Random (version 4).
  public static func random(using generator: inout some RandomNumberGenerator) -> UUID128 {
    UUID128(stamping: generator.next(), generator.next(), version: 4)
  }

  public static func random() -> UUID128 {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  /// Time-ordered and random (version 7).
  public static func timeOrdered(at time: Timestamp, using generator: inout some RandomNumberGenerator) -> UUID128 {
    UUID128(stamping: stamp(time) | generator.next() & 0xfff, generator.next(), version: 7)
  }

  public static func timeOrdered(at time: Timestamp) -> UUID128 {
    var generator = SystemRandomNumberGenerator()
    return timeOrdered(at: time, using: &generator)
  }

  /// Name-based (version 5): SHA-1 over the name space and the name.
  public static func named(_ name: [UInt8], in space: UUID128) -> UUID128 {
    let digest = SHA1.hash(space.bytes + name)
    // 16 of the 20 bytes are always there.
    guard let raw = UUID128(bytes: digest.prefix(16)) else { preconditionFailure("SHA-1 has 20 bytes") }
    return UUID128(stamping: raw.high, raw.low, version: 5)
  }

  /// Deterministic and time-ordered (version 8): 48 bits of milliseconds, then SHA-256 of the name.
  /// The same instant and name always make the same id.
  public static func deterministic(at time: Timestamp, name: [UInt8]) -> UUID128 {
    let digest = SHA256.hash(name)
    guard let raw = UUID128(bytes: digest.prefix(16)) else { preconditionFailure("SHA-256 has 32 bytes") }
    return UUID128(stamping: stamp(time) | raw.high & 0xffff, raw.low, version: 8)
  }
}
