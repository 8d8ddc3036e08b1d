internal import COpenSSL
internal import Money

/// Is what lies in a leaf's directory what the authority would put there?
enum LeafInspection {
  case sound(notAfter: Timestamp)
  /// In words, as they stand in the report.
  case unsound(String)

  static func inspect(
    _ directory: String, template: CertificateTemplate, owner: FileOwner?, issuer: Issuer, now: Timestamp
  ) throws(AuthorityError) -> LeafInspection {
    guard let certPEM = try SecureDirectory.read(directory + "/cert.pem"), let keyPEM = try SecureDirectory.read(directory + "/key.pem"),
      let bundlePEM = try SecureDirectory.read(directory + "/bundle.pem")
    else { return .unsound("a file was missing") }
    guard let mode = SecureDirectory.mode(directory + "/key.pem"), mode & 0o077 == 0 else { return .unsound("others could read its key") }
    if let owner, SecureDirectory.owner(directory + "/key.pem") != owner { return .unsound("another user owned it") }
    guard let chain = Certificate.all(pem: certPEM), chain.count == 2, let key = PrivateKey(pem: keyPEM),
      let bundle = Certificate.all(pem: bundlePEM)
    else { return .unsound("a file was damaged") }
    let leaf = chain[0]
    guard leaf.matches(key) else { return .unsound("its key did not match") }
    guard chain[1].isSame(as: issuer.intermediate), leaf.isSigned(by: issuer.intermediate) else { return .unsound("it had another issuer") }
    guard bundle.contains(where: { $0.isSame(as: issuer.root) }) else { return .unsound("its bundle lacked the root") }
    guard try holdsWhatIsAskedFor(leaf, template) else { return .unsound("other names or usages were asked for") }
    guard leaf.isValid(at: now) else { return .unsound(leaf.notAfter <= now ? "it had expired" : "it was not valid yet") }
    let halfLife = leaf.notBefore.microseconds / 2 + leaf.notAfter.microseconds / 2
    guard now.microseconds < halfLife else { return .unsound("half of its life was over") }
    return .sound(notAfter: leaf.notAfter)
  }

  /// Compares with a certificate made from the template: whatever the encoding of a name is, it is then the same.
  private static func holdsWhatIsAskedFor(_ leaf: Certificate, _ template: CertificateTemplate) throws(AuthorityError) -> Bool {
    let model = try Certificate.signed(template.contents, for: PrivateKey.generate(), by: nil)
    return leaf.subject == model.subject
      && [NID_subject_alt_name, NID_ext_key_usage, NID_key_usage, NID_basic_constraints].allSatisfy {
        leaf.extensionValue($0) == model.extensionValue($0)
      }
  }
}
