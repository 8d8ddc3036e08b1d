/// Builds one JSON object (RFC 8259) as bytes. Keys are written in the order in which they come.
struct JSONLine {
  /// Longer strings are cut: a log line must not be a way to fill a disk.
  static let longestString = 4096
  static let deepestNesting = 8

  private(set) var bytes: [UInt8] = [0x7b]
  private var isFirst = true

  mutating func string(_ key: String, _ value: String) {
    begin(key)
    Self.append(string: value, to: &bytes)
  }

  /// `literal` is already JSON: a number, `true`, `false` or `null`.
  mutating func literal(_ key: String, _ literal: String) {
    begin(key)
    bytes.append(contentsOf: literal.utf8)
  }

  mutating func raw(_ key: String, _ write: (inout [UInt8]) -> Void) {
    begin(key)
    write(&bytes)
  }

  /// Closes the object, and the line.
  mutating func finish() -> [UInt8] {
    bytes.append(0x7d)
    bytes.append(0x0a)
    return bytes
  }

  private mutating func begin(_ key: String) {
    if !isFirst { bytes.append(0x2c) }
    isFirst = false
    Self.append(string: key, to: &bytes)
    bytes.append(0x3a)
  }

  static func append(string: String, to bytes: inout [UInt8]) {
    bytes.append(0x22)
    var count = 0
    for scalar in string.unicodeScalars {
      count += 1
      if count > longestString {
        bytes.append(contentsOf: "…".utf8)
        break
      }
      switch scalar.value {
      case 0x22: bytes.append(contentsOf: [0x5c, 0x22])
      case 0x5c: bytes.append(contentsOf: [0x5c, 0x5c])
      case 0x0a: bytes.append(contentsOf: [0x5c, 0x6e])
      case 0x0d: bytes.append(contentsOf: [0x5c, 0x72])
      case 0x09: bytes.append(contentsOf: [0x5c, 0x74])
      // Control characters, and the two line separators that some readers of logs take for ends of lines.
      case 0..<0x20, 0x7f, 0x2028, 0x2029:
        let hex = String(scalar.value, radix: 16)
        bytes.append(contentsOf: ("\\u" + String(repeating: "0", count: 4 - hex.count) + hex).utf8)
      default: bytes.append(contentsOf: Array(String(scalar).utf8))
      }
    }
    bytes.append(0x22)
  }
}
