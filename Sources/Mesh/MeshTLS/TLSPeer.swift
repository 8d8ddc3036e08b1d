public import MeshProtocol
public import Money

/// Who a leaf certificate says its holder is, and for how long. Only made from certificates that passed every check.
public struct TLSPeer: Sendable, Hashable {
  public let id: SPIFFEID
  public let notBefore: Timestamp
  public let notAfter: Timestamp
  /// The earliest end in the whole verified chain: a connection must be gone by then.
  public internal(set) var validUntil: Timestamp
  /// Lower-case hexadecimal.
  public let serial: String
  /// The issuer's subject (RFC 2253).
  public let issuer: String
}
