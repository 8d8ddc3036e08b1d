public import Money

/// What is to be written into a leaf, to the letter. `LeafRequest` makes sound ones; this one can also be told to make
/// the wrong ones that a test needs to see refused.
public struct CertificateTemplate: Sendable, Hashable {
  public var commonName: String
  /// URI subject alternative names, in order. A sound leaf has exactly one.
  public var uris: [String]
  public var dnsNames: [String]
  public var addresses: [String]
  /// Empty: no extended key usage extension at all.
  public var usages: Set<LeafUsage>
  public var isAuthority: Bool
  public var notBefore: Timestamp
  public var notAfter: Timestamp

  /// How far `notBefore` is set back, so that a peer whose clock is a little late accepts the certificate at once.
  public static let backdatingSeconds: Int64 = 30

  public init(
    commonName: String, uris: [String], dnsNames: [String] = [], addresses: [String] = [], usages: Set<LeafUsage> = [.server, .client],
    isAuthority: Bool = false, notBefore: Timestamp, notAfter: Timestamp
  ) {
    self.commonName = commonName
    self.uris = uris
    self.dnsNames = dnsNames
    self.addresses = addresses
    self.usages = usages
    self.isAuthority = isAuthority
    self.notBefore = notBefore
    self.notAfter = notAfter
  }

  /// The sound leaf for a request.
  public init(_ request: LeafRequest, trustDomain: String, lifetime: Duration, now: Timestamp) {
    self.init(
      commonName: request.name, uris: ["spiffe://\(trustDomain)/\(request.name)"], dnsNames: request.dnsNames, addresses: request.addresses,
      usages: request.usages, notBefore: now.adding(seconds: -Self.backdatingSeconds),
      // A certificate counts whole seconds.
      notAfter: Timestamp(microseconds: now.milliseconds / 1000 * 1_000_000).adding(seconds: lifetime.components.seconds))
  }
}
