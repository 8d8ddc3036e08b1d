/// Key-value pairs beside a message, in order; a key may occur more than once.
///
/// Keys are lower-case ASCII (`a-z 0-9 . _ -`); a key that ends in "-bin" has a binary value, any other a value of printable ASCII.
public struct Metadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// One key with one value.
  public struct Entry: Sendable, Hashable {
    public var key: String
    public var value: [UInt8]

    public init(key: String, value: [UInt8]) {
      self.key = key
      self.value = value
    }
  }

  public var entries: [Entry]

  public init(entries: [Entry] = []) { self.entries = entries }

  public init(dictionaryLiteral elements: (String, String)...) {
    entries = elements.map { Entry(key: $0.0, value: Array($0.1.utf8)) }
  }

  /// The last text value of the key; setting replaces all, setting nil removes them.
  public subscript(_ key: String) -> String? {
    get { entries.last { $0.key == key }.map { String(decoding: $0.value, as: UTF8.self) } }
    set {
      entries.removeAll { $0.key == key }
      if let newValue { entries.append(Entry(key: key, value: Array(newValue.utf8))) }
    }
  }

  public mutating func append(_ key: String, _ value: String) { entries.append(Entry(key: key, value: Array(value.utf8))) }

  /// Bytes it takes against the limit of HELLO: keys, values, and 32 for each entry (as HTTP/2 counts, RFC 9113 §6.5.2).
  public var countedBytes: Int { entries.reduce(0) { $0 + $1.key.utf8.count + $1.value.count + 32 } }

  /// The first thing wrong with it, or nil.
  public var defect: String? {
    for entry in entries {
      let isKey = { (c: UInt8) in
        (0x61...0x7a).contains(c) || (0x30...0x39).contains(c) || c == 0x2e || c == 0x5f || c == 0x2d
      }
      guard !entry.key.isEmpty, entry.key.utf8.allSatisfy(isKey) else {
        return "metadata key '\(entry.key.prefix(64))' is not lower-case ASCII (a-z 0-9 . _ -)"
      }
      guard entry.key.hasSuffix("-bin") || entry.value.allSatisfy({ (0x20...0x7e).contains($0) }) else {
        return "the value of metadata key '\(entry.key.prefix(64))' is not printable ASCII; give the key the ending -bin"
      }
    }
    return nil
  }
}
