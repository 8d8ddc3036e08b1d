/// The name of an account, in the ledger and everywhere else: "ACC7Q2M0X4T9KDV", "clearing:GBP", "external:funding:GBP".
/// 1 to 64 of `A-Z a-z 0-9 : _ -`, starting with a letter or digit.
public struct AccountID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let name: String

  public init?(_ name: String) {
    let utf8 = name.utf8
    let isWord = { (c: UInt8) in (0x30...0x39).contains(c) || (0x41...0x5a).contains(c) || (0x61...0x7a).contains(c) }
    guard (1...64).contains(utf8.count), let first = utf8.first, isWord(first),
      utf8.allSatisfy({ isWord($0) || $0 == 0x3a || $0 == 0x5f || $0 == 0x2d })
    else { return nil }
    self.name = name
  }

  private init(unchecked name: String) { self.name = name }

  /// Where money is while a payment is under way.
  public static func clearing(_ currency: Currency) -> AccountID { AccountID(unchecked: "clearing:" + currency.code) }
  /// The outside world, as far as money comes from it.
  public static func externalFunding(_ currency: Currency) -> AccountID { AccountID(unchecked: "external:funding:" + currency.code) }

  public var description: String { name }
  public static func < (a: AccountID, b: AccountID) -> Bool { a.name < b.name }
}

/// A transfer's id in the ledger: time-ordered (version 7 or 8).
public struct TransferID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let uuid: UUID128

  /// Nil unless the UUID is time-ordered.
  public init?(_ uuid: UUID128) {
    guard uuid.isRFCVariant, uuid.version == 7 || uuid.version == 8 else { return nil }
    self.uuid = uuid
  }

  public var description: String { uuid.description }
  public static func < (a: TransferID, b: TransferID) -> Bool { a.uuid < b.uuid }
}

/// What makes a request one request however often it is sent: a UUID of version 4, made by the caller.
public struct IdempotencyKey: Hashable, Sendable, CustomStringConvertible {
  public let uuid: UUID128

  /// Nil unless it is a version 4 UUID of the RFC 9562 variant.
  public init?(_ text: String) {
    guard let uuid = UUID128(text), uuid.version == 4, uuid.isRFCVariant else { return nil }
    self.uuid = uuid
  }

  public var description: String { uuid.description }
}

/// A payment: UUIDv5 of (caller, method, idempotency key), so that one key can never name two payments.
public struct PaymentID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let uuid: UUID128

  public init(_ uuid: UUID128) { self.uuid = uuid }

  public var description: String { uuid.description }
  public static func < (a: PaymentID, b: PaymentID) -> Bool { a.uuid < b.uuid }
}
