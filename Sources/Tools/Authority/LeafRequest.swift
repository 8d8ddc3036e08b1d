/// What a leaf's key may be used for (RFC 5280, extended key usage).
public enum LeafUsage: Sendable, Hashable, CaseIterable {
  case server, client

  /// OpenSSL's name of the extended key usage.
  var name: String {
    switch self {
    case .server: "serverAuth"
    case .client: "clientAuth"
    }
  }
}

/// The user and group who shall own a leaf's directory and files. Only root can give files away.
public struct FileOwner: Sendable, Hashable {
  public var user: UInt32
  public var group: UInt32

  public init(user: UInt32, group: UInt32) {
    self.user = user
    self.group = group
  }
}

/// A leaf that the authority is asked to keep in `leaves/<name>/`.
public struct LeafRequest: Sendable, Hashable {
  /// The path of the SPIFFE id and the subject's common name: "ledger", "operator/alice".
  public var name: String
  public var usages: Set<LeafUsage>
  public var dnsNames: [String]
  public var addresses: [String]
  /// Nil: whoever runs the authority.
  public var owner: FileOwner?

  public init(name: String, usages: Set<LeafUsage>, dnsNames: [String] = [], addresses: [String] = [], owner: FileOwner? = nil) {
    self.name = name
    self.usages = usages
    self.dnsNames = dnsNames
    self.addresses = addresses
    self.owner = owner
  }

  /// A service of the mesh: it both accepts and makes connections.
  public static func service(_ name: String, owner: FileOwner? = nil) -> LeafRequest {
    LeafRequest(name: name, usages: [.server, .client], owner: owner)
  }

  /// One who only makes connections: the migrator, the auditor.
  public static func client(_ name: String, owner: FileOwner? = nil) -> LeafRequest {
    LeafRequest(name: name, usages: [.client], owner: owner)
  }

  /// A person. The name alone, without "operator/".
  public static func operatorNamed(_ name: String) -> LeafRequest { .client("operator/" + name) }

  /// The PostgreSQL server on the loopback interface. PostgreSQL reads its key as the user it runs as.
  public static func postgres(owner: FileOwner? = nil) -> LeafRequest {
    LeafRequest(name: "postgres", usages: [.server], dnsNames: ["localhost"], addresses: ["127.0.0.1"], owner: owner)
  }

  /// Everyone in a local mesh: the four services, PostgreSQL, migrator, auditor, and the operators.
  public static func standard(operators: [String] = ["admin"], postgresOwner: FileOwner? = nil) -> [LeafRequest] {
    ["account", "ledger", "payment", "notification"].map { .service($0) } + [.postgres(owner: postgresOwner)]
      + ["migrator", "auditor"].map { .client($0) } + operators.map { .operatorNamed($0) }
  }
}
