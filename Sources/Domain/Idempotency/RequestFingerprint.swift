internal import Digest

/// What a request says, in 32 bytes: SHA-256 over the method and the request in canonical form. Tells a retry from another request
/// under the same key. Never the key itself: two equal payments of £50 are two payments.
public struct RequestFingerprint: Hashable, Sendable {
  public let bytes: [UInt8]

  /// Nil unless there are 32 bytes.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  public init(method: String, _ request: CanonicalRequest) {
    var text: [UInt8] = []
    text.appendLengthPrefixed(Array(method.utf8))
    text += request.bytes
    bytes = SHA256.hash(text)
  }
}

/// A request as its fields' values in a fixed order, each with name and length: independent of how a client encoded it.
public struct CanonicalRequest: Hashable, Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func append(_ name: String, _ value: String) {
    bytes.appendLengthPrefixed(Array(name.utf8))
    bytes.appendLengthPrefixed(Array(value.utf8))
  }

  public mutating func append(_ name: String, _ value: Int64) { append(name, String(value)) }
}
