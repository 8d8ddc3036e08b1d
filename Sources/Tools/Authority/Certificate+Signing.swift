internal import COpenSSL
internal import Money

extension Certificate {
  /// What goes into a certificate, CA or leaf.
  struct Contents {
    var commonName: String
    var uris: [String]
    var dnsNames: [String] = []
    var addresses: [String] = []
    /// "critical,CA:TRUE,pathlen:0"
    var basicConstraints: String
    var keyUsage: String
    /// Nil: the extension is left out.
    var extendedKeyUsage: String?
    var notBefore: Timestamp
    var notAfter: Timestamp
  }

  /// Makes and signs a certificate for `key` (ECDSA with SHA-256, random 127-bit serial number).
  /// - Parameter issuer: nil for a self-signed root.
  static func signed(_ contents: Contents, for key: PrivateKey, by issuer: (certificate: Certificate, key: PrivateKey)?)
    throws(AuthorityError)
    -> Certificate
  {
    ERR_clear_error()
    guard let raw = X509_new() else { throw OpenSSLErrors.failure("No memory for a certificate") }
    let made = Certificate(adopting: raw)
    let issuerRaw = issuer?.certificate.raw ?? raw

    func must(_ done: Bool, _ step: String) throws(AuthorityError) {
      if !done { throw OpenSSLErrors.failure("The certificate for \"\(contents.commonName)\" could not be made: \(step)") }
    }
    try must(X509_set_version(raw, 2) == 1, "version")
    try must(setRandomSerial(raw), "serial number")
    try must(setTimes(raw, contents), "validity")
    try must(X509_set_pubkey(raw, key.raw) == 1, "public key")
    try must(addCommonName(raw, contents.commonName), "common name")
    try must(X509_set_issuer_name(raw, X509_get_subject_name(issuerRaw)) == 1, "issuer")

    var extensions: [(Int32, String)] = [
      (NID_basic_constraints, contents.basicConstraints), (NID_key_usage, contents.keyUsage), (NID_subject_key_identifier, "hash"),
      (NID_authority_key_identifier, "keyid:always"),
    ]
    if let usage = contents.extendedKeyUsage { extensions.append((NID_ext_key_usage, usage)) }
    for (nid, text) in extensions {
      try must(florin_X509_add_extension(raw, issuerRaw, nid, text) == 1, String(cString: OBJ_nid2ln(nid)))
    }
    try must(addAlternativeNames(raw, contents), "subject alternative names")
    try must(X509_sign(raw, issuer?.key.raw ?? key.raw, EVP_sha256()) > 0, "signature")
    return made
  }

  private static func setRandomSerial(_ raw: OpaquePointer) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16)
    guard RAND_bytes(&bytes, 16) == 1 else { return false }
    // Positive and never zero, and always 16 octets (RFC 5280, 4.1.2.2 allows 20).
    bytes[0] = bytes[0] & 0x7f | 0x40
    guard let number = BN_bin2bn(bytes, 16, nil) else { return false }
    defer { BN_free(number) }
    return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(raw)) != nil
  }

  private static func setTimes(_ raw: OpaquePointer, _ contents: Contents) -> Bool {
    func set(_ time: Timestamp, _ into: (UnsafePointer<ASN1_TIME>?) -> Int32) -> Bool {
      guard let value = ASN1_TIME_set(nil, time_t(time.microseconds / 1_000_000)) else { return false }
      defer { ASN1_TIME_free(value) }
      return into(value) == 1
    }
    return set(contents.notBefore) { X509_set1_notBefore(raw, $0) } && set(contents.notAfter) { X509_set1_notAfter(raw, $0) }
  }

  private static func addCommonName(_ raw: OpaquePointer, _ name: String) -> Bool {
    let utf8 = Array(name.utf8)
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(raw), NID_commonName, MBSTRING_UTF8, utf8, Int32(utf8.count), -1, 0) == 1
  }

  private static func addAlternativeNames(_ raw: OpaquePointer, _ contents: Contents) -> Bool {
    if contents.uris.isEmpty && contents.dnsNames.isEmpty && contents.addresses.isEmpty { return true }
    guard let names = florin_GENERAL_NAMES_new() else { return false }
    defer { florin_GENERAL_NAMES_free(names) }
    let texts = contents.uris.map { (GEN_URI, $0) } + contents.dnsNames.map { (GEN_DNS, $0) }
    for (type, text) in texts where florin_GENERAL_NAMES_push_text(names, type, text, Int32(text.utf8.count)) != 1 { return false }
    for address in contents.addresses where florin_GENERAL_NAMES_push_address(names, address) != 1 { return false }
    return X509_add1_ext_i2d(raw, NID_subject_alt_name, UnsafeMutableRawPointer(names), 0, UInt(X509V3_ADD_DEFAULT)) == 1
  }
}
