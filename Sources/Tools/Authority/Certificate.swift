internal import COpenSSL
internal import Money

/// An X.509 certificate inside OpenSSL.
final class Certificate {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { self.raw = raw }

  deinit { X509_free(raw) }

  /// Every certificate in PEM text, in order. Nil if a block is damaged; empty if there is none.
  static func all(pem: [UInt8]) -> [Certificate]? {
    ERR_clear_error()
    return pem.withUnsafeBytes { bytes -> [Certificate]? in
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      var found: [Certificate] = []
      while let raw = PEM_read_bio_X509(bio, nil, nil, nil) { found.append(Certificate(adopting: raw)) }
      // The end of the text is the one good reason to stop.
      let reason = florin_ERR_GET_REASON(ERR_peek_last_error())
      ERR_clear_error()
      return reason == PEM_R_NO_START_LINE ? found : nil
    }
  }

  func pem() throws(AuthorityError) -> [UInt8] {
    guard let bio = BIO_new(BIO_s_mem()) else { throw OpenSSLErrors.failure("No memory for a certificate") }
    defer { BIO_free(bio) }
    guard PEM_write_bio_X509(bio, raw) == 1 else { throw OpenSSLErrors.failure("A certificate could not be written as PEM") }
    var start: UnsafePointer<CChar>?
    let count = florin_BIO_get_mem_data(bio, &start)
    return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  var notBefore: Timestamp { Timestamp(microseconds: florin_ASN1_TIME_seconds(X509_get0_notBefore(raw)) * 1_000_000) }
  var notAfter: Timestamp { Timestamp(microseconds: florin_ASN1_TIME_seconds(X509_get0_notAfter(raw)) * 1_000_000) }

  func isValid(at time: Timestamp) -> Bool { notBefore <= time && time < notAfter }

  /// Lower-case hexadecimal.
  var serial: String {
    guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(raw), nil) else { return "" }
    defer { BN_free(number) }
    guard let text = BN_bn2hex(number) else { return "" }
    defer { CRYPTO_free(text, #fileID, #line) }
    return String(cString: text).lowercased()
  }

  var issuer: String { Self.text(of: X509_get_issuer_name(raw)) }
  var subject: String { Self.text(of: X509_get_subject_name(raw)) }

  private static func text(of name: OpaquePointer?) -> String {
    guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    florin_X509_NAME_print(bio, name)
    var start: UnsafePointer<CChar>?
    let count = florin_BIO_get_mem_data(bio, &start)
    return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
  }

  /// URI subject alternative names, in order.
  var uris: [String] {
    let names = X509_get_ext_d2i(raw, NID_subject_alt_name, nil, nil).map { OpaquePointer($0) }
    defer { if let names { florin_GENERAL_NAMES_free(names) } }
    return (0..<florin_GENERAL_NAMES_count(names)).compactMap { index in
      guard florin_GENERAL_NAMES_type_at(names, index) == GEN_URI else { return nil }
      var length: Int32 = 0
      let text = florin_GENERAL_NAMES_text_at(names, index, &length)
      return String(decoding: UnsafeBufferPointer(start: text, count: Int(length)), as: UTF8.self)
    }
  }

  /// The DER of one extension's value, to compare with another's. Nil if it is not there.
  func extensionValue(_ nid: Int32) -> [UInt8]? {
    let index = X509_get_ext_by_NID(raw, nid, -1)
    guard index >= 0, let value = X509_EXTENSION_get_data(X509_get_ext(raw, index)) else { return nil }
    return [UInt8](UnsafeBufferPointer(start: ASN1_STRING_get0_data(value), count: Int(ASN1_STRING_length(value))))
  }

  func matches(_ key: PrivateKey) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_private_key(raw, key.raw) == 1
  }

  /// Was it signed by the key in `issuer`, under the issuer's name?
  func isSigned(by issuer: Certificate) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_issued(issuer.raw, raw) == X509_V_OK && X509_verify(raw, X509_get0_pubkey(issuer.raw)) == 1
  }

  func isSame(as other: Certificate) -> Bool { X509_cmp(raw, other.raw) == 0 }
}
