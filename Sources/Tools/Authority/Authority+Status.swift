public import Money

extension Authority {
  /// What is in the directory: root, intermediate, then the leaves by name. Damaged files are reported as a problem of
  /// their certificate; that there is no authority at all is an error.
  public static func status(directory: String, now: Timestamp = SystemWallClock().now) throws(AuthorityError) -> [CertificateStatus] {
    let authority = try open(directory: directory)
    let ca = authority.directory + "/ca"
    let issuer = try Issuer.load(from: ca, needsKey: false)
    var all = [
      describe(issuer.root, .root, "ca/root", ca, problem: validity(issuer.root, now)),
      describe(issuer.intermediate, .intermediate, "ca/intermediate", ca, problem: validity(issuer.intermediate, now)),
    ]
    for name in try authority.leafNames() { all.append(try authority.leafStatus(name, issuer: issuer, now: now)) }
    return all
  }

  /// The names under `leaves/`, sorted.
  private func leafNames() throws(AuthorityError) -> [String] {
    let root = directory + "/leaves"
    var names: [String] = []
    for entry in try SecureDirectory.list(root) where !entry.hasPrefix(".") {
      if entry == "operator" {
        for person in try SecureDirectory.list(root + "/operator") where !person.hasPrefix(".") { names.append("operator/" + person) }
      } else {
        names.append(entry)
      }
    }
    return names.sorted()
  }

  private func leafStatus(_ name: String, issuer: Issuer, now: Timestamp) throws(AuthorityError) -> CertificateStatus {
    let path = leafDirectory(name)
    func broken(_ problem: String) -> CertificateStatus {
      let never = Timestamp(microseconds: 0)
      return CertificateStatus(
        kind: .leaf, name: name, serial: "", issuer: "", notBefore: never, notAfter: never, uris: [], directory: path, problem: problem)
    }
    guard let pem = try SecureDirectory.read(path + "/cert.pem") else { return broken("cert.pem is missing") }
    guard let leaf = Certificate.all(pem: pem)?.first else { return broken("cert.pem is damaged") }
    var problem = Self.validity(leaf, now)
    if !leaf.isSigned(by: issuer.intermediate) { problem = "it was signed by another issuer" }
    switch SecureDirectory.mode(path + "/key.pem") {
    case nil: problem = "key.pem is missing"
    case .some(let mode) where mode & 0o077 != 0: problem = "others can read key.pem"
    default: break
    }
    return Self.describe(leaf, .leaf, name, path, problem: problem)
  }

  private static func validity(_ certificate: Certificate, _ now: Timestamp) -> String? {
    if certificate.notAfter <= now { return "it has expired" }
    return now < certificate.notBefore ? "it is not valid yet" : nil
  }

  private static func describe(
    _ certificate: Certificate, _ kind: CertificateStatus.Kind, _ name: String, _ directory: String, problem: String?
  ) -> CertificateStatus {
    CertificateStatus(
      kind: kind, name: name, serial: certificate.serial, issuer: certificate.issuer, notBefore: certificate.notBefore,
      notAfter: certificate.notAfter, uris: certificate.uris, directory: directory, problem: problem)
  }
}
