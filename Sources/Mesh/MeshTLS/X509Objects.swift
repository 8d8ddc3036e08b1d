internal import COpenSSL
internal import Money

/// An X.509 certificate, owned.
final class OwnedCertificate {
  let raw: OpaquePointer

  init(adopting raw: OpaquePointer) { self.raw = raw }

  deinit { X509_free(raw) }

  /// Every certificate in PEM text, in order. Nil if one of them is damaged.
  static func all(pem: [UInt8]) -> [OwnedCertificate]? {
    ERR_clear_error()
    return pem.withUnsafeBytes { bytes -> [OwnedCertificate]? in
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      var found: [OwnedCertificate] = []
      while let raw = PEM_read_bio_X509(bio, nil, nil, nil) { found.append(OwnedCertificate(adopting: raw)) }
      // The end of the text is the one good reason to stop; half a block is not.
      return OpenSSLFailure.drain().reason == PEM_R_NO_START_LINE ? found : nil
    }
  }
}

/// A private key, owned.
final class OwnedKey {
  let raw: OpaquePointer

  /// Nil if the PEM is not a private key without a passphrase. The caller wipes the bytes.
  init?(pem: UnsafeRawBufferPointer) {
    ERR_clear_error()
    guard let bio = BIO_new_mem_buf(pem.baseAddress, Int32(pem.count)) else { return nil }
    defer {
      BIO_free(bio)
      ERR_clear_error()
    }
    // Without this callback OpenSSL asks at the terminal for the passphrase of an encrypted key.
    guard let raw = PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil) else { return nil }
    self.raw = raw
  }

  deinit { EVP_PKEY_free(raw) }
}

/// Reading a certificate that somebody else owns. The pointer is used during the call only.
enum X509Reader {
  static func notBefore(_ raw: OpaquePointer) -> Timestamp { timestamp(X509_get0_notBefore(raw)) }
  static func notAfter(_ raw: OpaquePointer) -> Timestamp { timestamp(X509_get0_notAfter(raw)) }

  private static func timestamp(_ time: UnsafePointer<ASN1_TIME>?) -> Timestamp {
    // An unreadable time counts as long past, so that whatever depends on it is refused.
    guard let time else { return Timestamp(microseconds: 0) }
    return Timestamp(microseconds: florin_ASN1_TIME_seconds(time) * 1_000_000)
  }

  /// Lower-case hexadecimal.
  static func serial(_ raw: OpaquePointer) -> String {
    guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(raw), nil) else { return "" }
    defer { BN_free(number) }
    guard let text = BN_bn2hex(number) else { return "" }
    defer { CRYPTO_free(text, #fileID, #line) }
    return String(cString: text).lowercased()
  }

  /// RFC 2253.
  static func issuer(_ raw: OpaquePointer) -> String {
    guard let name = X509_get_issuer_name(raw), let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    florin_X509_NAME_print(bio, name)
    var start: UnsafePointer<CChar>?
    let count = florin_BIO_get_mem_data(bio, &start)
    return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
  }

  /// Every URI subject alternative name, in order.
  static func uris(_ raw: OpaquePointer) throws(TLSError) -> [String] {
    var critical: Int32 = 0
    guard let found = X509_get_ext_d2i(raw, NID_subject_alt_name, &critical, nil) else {
      ERR_clear_error()
      switch critical {
      case -1: return []
      case -2: throw TLSError(.severalSANs, "The certificate has several subject alternative name extensions")
      default: throw TLSError(.damaged, "The certificate's subject alternative names cannot be read")
      }
    }
    let names = OpaquePointer(found)
    defer { florin_GENERAL_NAMES_free(names) }
    return (0..<florin_GENERAL_NAMES_count(names)).compactMap { index in
      guard florin_GENERAL_NAMES_type_at(names, index) == GEN_URI else { return nil }
      var length: Int32 = 0
      let text = florin_GENERAL_NAMES_text_at(names, index, &length)
      return String(decoding: UnsafeBufferPointer(start: text, count: Int(length)), as: UTF8.self)
    }
  }
}
