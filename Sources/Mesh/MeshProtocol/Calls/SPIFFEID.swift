/// A SPIFFE identity (SPIFFE-ID standard, §2): `spiffe://trust-domain/path`.
public struct SPIFFEID: Sendable, Hashable, CustomStringConvertible {
  /// Lower-case letters, digits, dot, hyphen, underscore.
  public let trustDomain: String
  /// Without the leading slash: "payment", "operator/alice".
  public let path: String

  public init(trustDomain: String, path: String) {
    self.trustDomain = trustDomain
    self.path = path
  }

  /// Nil unless it is a whole, canonical SPIFFE id with a path: no port, user, query, fragment, empty or dot segment; at most 2,048 bytes.
  public init?(uri: String) {
    let prefix = "spiffe://"
    guard uri.utf8.count <= 2048, uri.hasPrefix(prefix) else { return nil }
    let rest = uri.dropFirst(prefix.count)
    guard let slash = rest.firstIndex(of: "/") else { return nil }
    let domain = rest[..<slash]
    let path = rest[rest.index(after: slash)...]
    let isLower = { (c: UInt8) in (0x61...0x7a).contains(c) || (0x30...0x39).contains(c) }
    guard !domain.isEmpty, domain.utf8.count <= 255,
      domain.utf8.allSatisfy({ isLower($0) || $0 == 0x2e || $0 == 0x2d || $0 == 0x5f })
    else { return nil }
    let segments = path.split(separator: "/", omittingEmptySubsequences: false)
    for segment in segments {
      guard !segment.isEmpty, segment != ".", segment != "..",
        segment.utf8.allSatisfy({ isLower($0) || (0x41...0x5a).contains($0) || $0 == 0x2e || $0 == 0x2d || $0 == 0x5f })
      else { return nil }
    }
    trustDomain = String(domain)
    self.path = String(path)
  }

  public var description: String { "spiffe://\(trustDomain)/\(path)" }
}
