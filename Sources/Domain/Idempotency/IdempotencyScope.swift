public import Money

/// What one idempotency key is a key *for*: the caller that authenticated itself, the method, the key. Two callers may use one
/// key, and one caller may use it for two methods, without ever meeting.
public struct IdempotencyScope: Hashable, Sendable {
  /// The caller's SPIFFE id.
  public let caller: String
  /// The canonical "package.Service/Method".
  public let method: String
  public let key: IdempotencyKey

  public init(caller: String, method: String, key: IdempotencyKey) {
    self.caller = caller
    self.method = method
    self.key = key
  }

  /// The one payment that this scope can ever name: UUIDv5 over (caller, method, key), each preceded by its length, so that no
  /// two scopes have the same bytes. It outlives the key's record: a late reuse finds the payment, and makes no second one.
  public var paymentID: PaymentID {
    var name: [UInt8] = []
    name.appendLengthPrefixed(Array(caller.utf8))
    name.appendLengthPrefixed(Array(method.utf8))
    name.appendLengthPrefixed(key.uuid.bytes)
    return PaymentID(UUID128.named(name, in: Self.nameSpace))
  }

  /// UUIDv5 of "payments.florin.local" in the name space for DNS names of RFC 9562. Never to be changed.
  static let nameSpace: UUID128 = {
    let dns = UUID128(high: 0x6ba7_b810_9dad_11d1, low: 0x80b4_00c0_4fd4_30c8)
    return UUID128.named(Array("payments.florin.local".utf8), in: dns)
  }()
}

extension [UInt8] {
  /// Four bytes of length, big-endian, then the bytes.
  mutating func appendLengthPrefixed(_ bytes: [UInt8]) {
    let count = UInt32(bytes.count)
    for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: count >> shift)) }
    append(contentsOf: bytes)
  }
}
