public import Money

/// One certificate of the authority, as it stands on disk.
public struct CertificateStatus: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    case root, intermediate, leaf
  }

  public let kind: Kind
  /// "ca/root", "ca/intermediate", or the leaf's name.
  public let name: String
  /// Lower-case hexadecimal.
  public let serial: String
  /// The issuer's subject (RFC 2253).
  public let issuer: String
  public let notBefore: Timestamp
  public let notAfter: Timestamp
  /// Every URI subject alternative name; for a sound leaf its one SPIFFE id.
  public let uris: [String]
  /// The directory with its files.
  public let directory: String
  /// Nil if nothing is wrong with it, else what is, in words.
  public let problem: String?

  public var spiffeID: String? { uris.count == 1 ? uris[0] : nil }
}
