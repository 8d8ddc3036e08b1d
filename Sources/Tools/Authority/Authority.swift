public import Money

/// The mesh's certificate authority, as files: a root, an issuing intermediate, and leaves of short life.
///
/// ```
/// DIRECTORY/ca/root.cert.pem  root.key.pem  intermediate.cert.pem  intermediate.key.pem
/// DIRECTORY/leaves/NAME/cert.pem (leaf, then intermediate)  key.pem  bundle.pem (trusted roots)
/// ```
/// Keys have mode 0400 in directories of mode 0700. A directory is replaced as a whole, never file by file. The value
/// holds no key: each operation reads what it needs and forgets it.
public struct Authority: Sendable, Hashable {
  public let directory: String
  public let trustDomain: String

  /// The longest life of a root, and of an intermediate.
  static let rootLifetimeSeconds: Int64 = 10 * 365 * 86_400
  static let intermediateLifetimeSeconds: Int64 = 365 * 86_400

  public static let defaultTrustDomain = "florin.local"
  public static let defaultLeafLifetime: Duration = .seconds(86_400)

  /// Makes what is missing and keeps what is sound; says which is which.
  ///
  /// A leaf is made again when it has passed half of its life, or does not fit what is asked for. An intermediate that
  /// would expire before a new leaf is made again under the same root, and all leaves with it.
  /// - Parameter force: makes everything again, the root too: every certificate issued before is then worthless.
  public static func initialize(
    directory: String, trustDomain: String = defaultTrustDomain, leaves: [LeafRequest] = LeafRequest.standard(),
    leafLifetime: Duration = defaultLeafLifetime, force: Bool = false, now: Timestamp = SystemWallClock().now
  ) throws(AuthorityError) -> AuthorityReport {
    try Names.check(trustDomain: trustDomain)
    try Names.check(lifetime: leafLifetime)
    for leaf in leaves { try Names.check(leaf: leaf.name) }
    let authority = Authority(directory: trimmed(directory), trustDomain: trustDomain)
    // Others may pass through on the way to a leaf of their own, but see nothing on the way.
    try SecureDirectory.ensure(authority.directory, mode: 0o711)
    try SecureDirectory.ensure(authority.directory + "/leaves", mode: 0o711)
    return try SecureDirectory.locked(authority.directory) { () throws(AuthorityError) in
      var report = AuthorityReport(authority: authority, items: [])
      let issuer = try authority.ensureIssuer(leafLifetime: leafLifetime, force: force, now: now, report: &report)
      for leaf in leaves { try authority.ensureLeaf(leaf, lifetime: leafLifetime, force: force, now: now, issuer: issuer, report: &report) }
      return report
    }
  }

  /// The authority that was made in `directory` before. Its trust domain is read from the intermediate.
  public static func open(directory: String) throws(AuthorityError) -> Authority {
    let directory = trimmed(directory)
    let issuer = try Issuer.load(from: directory + "/ca", needsKey: false)
    guard let domain = issuer.trustDomain else {
      throw AuthorityError(
        .damaged, "\(directory)/ca/intermediate.cert.pem names no trust domain", remedy: "Make a new authority with --force.")
    }
    return Authority(directory: directory, trustDomain: domain)
  }

  /// Issues a sound leaf with a new key into `leaves/<name>/`, in place of the one that is there. Returns that directory.
  @discardableResult
  public func issue(_ request: LeafRequest, lifetime: Duration = defaultLeafLifetime, now: Timestamp = SystemWallClock().now)
    throws(AuthorityError)
    -> String
  {
    try Names.check(leaf: request.name)
    try Names.check(lifetime: lifetime)
    return try SecureDirectory.locked(directory) { () throws(AuthorityError) in
      let issuer = try Issuer.load(from: directory + "/ca", needsKey: true)
      let template = CertificateTemplate(request, trustDomain: trustDomain, lifetime: lifetime, now: now)
      return try install(template, request: request, issuer: issuer)
    }
  }

  /// Issues exactly what the template says, sound or not, with a new key, into any directory whose parent exists.
  public func issue(_ template: CertificateTemplate, into directory: String, owner: FileOwner? = nil) throws(AuthorityError) {
    let issuer = try Issuer.load(from: self.directory + "/ca", needsKey: true)
    try issuer.issue(template, into: directory, owner: owner)
  }

  /// `leaves/<name>/`: what a process is given as its identity directory.
  public func leafDirectory(_ name: String) -> String { "\(directory)/leaves/\(name)" }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    return path
  }
}

extension Authority {
  private func ensureIssuer(leafLifetime: Duration, force: Bool, now: Timestamp, report: inout AuthorityReport) throws(AuthorityError)
    -> Issuer
  {
    let ca = directory + "/ca"
    func item(_ name: String, _ action: AuthorityReport.Action, _ notAfter: Timestamp) {
      report.items.append(.init(name: name, action: action, notAfter: notAfter, directory: ca))
    }
    let isNew = !SecureDirectory.exists(ca)
    if isNew || force {
      let issuer = try Issuer.create(in: ca, trustDomain: trustDomain, now: now)
      let action: AuthorityReport.Action = isNew ? .created : .renewed(reason: "forced")
      item("ca/root", action, issuer.root.notAfter)
      item("ca/intermediate", action, issuer.intermediate.notAfter)
      return issuer
    }
    let issuer = try Issuer.load(from: ca, needsKey: true)
    guard issuer.trustDomain == trustDomain else {
      throw AuthorityError(
        .damaged, "\(directory) is the authority of the trust domain \(issuer.trustDomain ?? "(none)"), not of \(trustDomain)",
        remedy: "Choose another directory, or make a new authority with --force.")
    }
    guard issuer.root.isValid(at: now) else {
      throw AuthorityError(
        .expired, "The root is valid from \(issuer.root.notBefore) to \(issuer.root.notAfter), which is not now (\(now))",
        remedy: "Set the clock right, or make a new authority with --force.")
    }
    item("ca/root", .kept, issuer.root.notAfter)
    let lastsLongEnough = now.adding(seconds: leafLifetime.components.seconds) <= issuer.intermediate.notAfter
    if lastsLongEnough && issuer.intermediate.isValid(at: now) {
      item("ca/intermediate", .kept, issuer.intermediate.notAfter)
      return issuer
    }
    let renewed = try issuer.renewingIntermediate(in: ca, trustDomain: trustDomain, now: now)
    item("ca/intermediate", .renewed(reason: "it would expire before a new leaf"), renewed.intermediate.notAfter)
    return renewed
  }

  private func ensureLeaf(
    _ request: LeafRequest, lifetime: Duration, force: Bool, now: Timestamp, issuer: Issuer, report: inout AuthorityReport
  ) throws(AuthorityError) {
    let template = CertificateTemplate(request, trustDomain: trustDomain, lifetime: lifetime, now: now)
    let path = leafDirectory(request.name)
    let action: AuthorityReport.Action
    var notAfter = template.notAfter
    if !SecureDirectory.exists(path) {
      action = .created
    } else if force {
      action = .renewed(reason: "forced")
    } else {
      switch try LeafInspection.inspect(path, template: template, owner: request.owner, issuer: issuer, now: now) {
      case .sound(let until): (action, notAfter) = (.kept, until)
      case .unsound(let reason): action = .renewed(reason: reason)
      }
    }
    if action != .kept { try install(template, request: request, issuer: issuer) }
    report.items.append(.init(name: request.name, action: action, notAfter: notAfter, directory: path))
  }

  @discardableResult
  private func install(_ template: CertificateTemplate, request: LeafRequest, issuer: Issuer) throws(AuthorityError) -> String {
    let path = leafDirectory(request.name)
    if let slash = path.lastIndex(of: "/") { try SecureDirectory.ensure(String(path[..<slash]), mode: 0o711) }
    try issuer.issue(template, into: path, owner: request.owner)
    return path
  }
}
