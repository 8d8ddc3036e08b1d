internal import Money

/// The root and the intermediate, loaded. The intermediate signs the leaves; the root signs the intermediate and may
/// be kept elsewhere afterwards.
struct Issuer {
  let root: Certificate
  let intermediate: Certificate
  /// Nil if it was not asked for.
  let intermediateKey: PrivateKey?

  /// The trust domain that the intermediate signs for: its one SPIFFE id, which has no path.
  var trustDomain: String? {
    let uris = intermediate.uris
    guard uris.count == 1, uris[0].hasPrefix("spiffe://") else { return nil }
    return String(uris[0].dropFirst("spiffe://".count))
  }

  static func create(in directory: String, trustDomain: String, now: Timestamp) throws(AuthorityError) -> Issuer {
    let rootKey = try PrivateKey.generate()
    let root = try Certificate.signed(
      authority("root", trustDomain, pathLength: 1, now: now, lifetime: Authority.rootLifetimeSeconds), for: rootKey, by: nil)
    return try install(
      in: directory, trustDomain: trustDomain, now: now, root: root, rootKey: rootKey,
      rootFiles: [
        .init(name: "root.cert.pem", mode: 0o444, source: .bytes(try root.pem())),
        .init(name: "root.key.pem", mode: 0o400, source: .key(rootKey)),
      ])
  }

  /// A new intermediate under the same root.
  func renewingIntermediate(in directory: String, trustDomain: String, now: Timestamp) throws(AuthorityError) -> Issuer {
    let path = directory + "/root.key.pem"
    guard let pem = try SecureDirectory.read(path), let rootKey = PrivateKey(pem: pem), root.matches(rootKey) else {
      throw AuthorityError(
        .damaged, "The intermediate has to be made again, and \(path) is missing or is not the root's key",
        remedy: "Put the root's key back, or make a new authority with --force.")
    }
    return try Self.install(
      in: directory, trustDomain: trustDomain, now: now, root: root, rootKey: rootKey,
      rootFiles: ["root.cert.pem", "root.key.pem"].map { .init(name: $0, mode: 0, source: .existing("\(directory)/\($0)")) })
  }

  private static func install(
    in directory: String, trustDomain: String, now: Timestamp, root: Certificate, rootKey: PrivateKey, rootFiles: [SecureDirectory.File]
  ) throws(AuthorityError) -> Issuer {
    let key = try PrivateKey.generate()
    var contents = authority("intermediate", trustDomain, pathLength: 0, now: now, lifetime: Authority.intermediateLifetimeSeconds)
    contents.notAfter = min(contents.notAfter, root.notAfter)
    let intermediate = try Certificate.signed(contents, for: key, by: (root, rootKey))
    let files: [SecureDirectory.File] = [
      .init(name: "intermediate.cert.pem", mode: 0o444, source: .bytes(try intermediate.pem())),
      .init(name: "intermediate.key.pem", mode: 0o400, source: .key(key)),
    ]
    try SecureDirectory.replace(directory, files: rootFiles + files, owner: nil)
    return Issuer(root: root, intermediate: intermediate, intermediateKey: key)
  }

  private static func authority(_ role: String, _ trustDomain: String, pathLength: Int, now: Timestamp, lifetime: Int64)
    -> Certificate.Contents
  {
    // The number keeps an old and a new authority apart for people who read the names.
    let number = String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16)
    return Certificate.Contents(
      commonName: "Florin \(role) \(number)", uris: ["spiffe://\(trustDomain)"], basicConstraints: "critical,CA:TRUE,pathlen:\(pathLength)",
      keyUsage: "critical,keyCertSign,cRLSign", extendedKeyUsage: nil,
      notBefore: now.adding(seconds: -CertificateTemplate.backdatingSeconds),
      notAfter: now.adding(seconds: lifetime))
  }

  static func load(from directory: String, needsKey: Bool) throws(AuthorityError) -> Issuer {
    func certificate(_ name: String) throws(AuthorityError) -> Certificate {
      let path = "\(directory)/\(name)"
      guard let pem = try SecureDirectory.read(path) else {
        throw AuthorityError(.notInitialized, "\(path) does not exist", remedy: "Make an authority there first: `florin certs init`.")
      }
      guard let found = Certificate.all(pem: pem), found.count == 1 else {
        throw AuthorityError(
          .damaged, "\(path) does not hold exactly one certificate", remedy: "Restore it, or make a new authority with --force.")
      }
      return found[0]
    }
    let root = try certificate("root.cert.pem")
    let intermediate = try certificate("intermediate.cert.pem")
    guard intermediate.isSigned(by: root) else {
      throw AuthorityError(
        .damaged, "The intermediate in \(directory) was not signed by the root there",
        remedy: "Restore the pair, or make a new authority with --force.")
    }
    guard needsKey else { return Issuer(root: root, intermediate: intermediate, intermediateKey: nil) }
    let path = directory + "/intermediate.key.pem"
    guard let pem = try SecureDirectory.read(path), let key = PrivateKey(pem: pem), intermediate.matches(key) else {
      throw AuthorityError(
        .damaged, "\(path) is missing or is not the intermediate's key", remedy: "Restore it, or make a new authority with --force.")
    }
    return Issuer(root: root, intermediate: intermediate, intermediateKey: key)
  }

  /// Makes a key and a certificate, and puts them with the chain and the bundle into `directory`.
  func issue(_ template: CertificateTemplate, into directory: String, owner: FileOwner?) throws(AuthorityError) {
    guard let intermediateKey else {
      throw AuthorityError(.cryptography, "The intermediate's key was not loaded", remedy: "Report this: it is a defect of Florin.")
    }
    let key = try PrivateKey.generate()
    let leaf = try Certificate.signed(template.contents, for: key, by: (intermediate, intermediateKey))
    try SecureDirectory.replace(
      directory,
      files: [
        .init(name: "cert.pem", mode: 0o444, source: .bytes(try leaf.pem() + intermediate.pem())),
        .init(name: "key.pem", mode: 0o400, source: .key(key)),
        .init(name: "bundle.pem", mode: 0o444, source: .bytes(try root.pem())),
      ], owner: owner)
  }
}

extension CertificateTemplate {
  var contents: Certificate.Contents {
    Certificate.Contents(
      commonName: commonName, uris: uris, dnsNames: dnsNames, addresses: addresses,
      basicConstraints: isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE",
      keyUsage: isAuthority ? "critical,digitalSignature,keyCertSign" : "critical,digitalSignature",
      extendedKeyUsage: usages.isEmpty ? nil : LeafUsage.allCases.filter(usages.contains).map(\.name).joined(separator: ","),
      notBefore: notBefore, notAfter: notAfter)
  }
}
