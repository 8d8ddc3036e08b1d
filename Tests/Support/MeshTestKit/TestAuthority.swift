public import Authority
public import MeshProtocol
public import MeshTLS
internal import Money

/// A certificate authority in a temporary directory, with leaves for the services and an operator, and wrong ones on request.
public final class TestAuthority: Sendable {
  public let folder: TemporaryDirectory
  public let authority: Authority

  public init(trustDomain: String = "florin.local") throws {
    folder = try TemporaryDirectory()
    authority = try Authority.initialize(
      directory: folder.path + "/certs", trustDomain: trustDomain,
      leaves: ["account", "ledger", "payment", "notification"].map { .service($0) } + [.operatorNamed("admin")]
    ).authority
  }

  private static let made = Result { try TestAuthority() }
  private static let madeOther = Result { try TestAuthority() }

  /// One for all tests of a process: making keys takes time.
  public static func shared() throws -> TestAuthority { try made.get() }
  /// Another root that claims the same trust domain.
  public static func other() throws -> TestAuthority { try madeOther.get() }

  public func context(_ name: String, _ role: TLSRole) throws -> TLSContext {
    try TLSContext.load(IdentityFiles(directory: authority.leafDirectory(name)), role: role)
  }

  public func identity(_ name: String) -> SPIFFEID { SPIFFEID(trustDomain: authority.trustDomain, path: name) }

  /// A leaf for `name`, to be spoilt by `change`.
  /// - Returns: its directory.
  public func leaf(_ name: String, _ change: (inout CertificateTemplate) -> Void = { _ in }) throws -> String {
    var template = CertificateTemplate(
      .service(name), trustDomain: authority.trustDomain, lifetime: .seconds(3600), now: SystemWallClock().now)
    change(&template)
    let directory = "\(folder.path)/leaf-\(UInt64.random(in: 0...(.max)))"
    try authority.issue(template, into: directory)
    return directory
  }
}
