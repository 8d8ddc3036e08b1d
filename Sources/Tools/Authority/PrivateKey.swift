internal import COpenSSL

/// A P-256 private key inside OpenSSL. Its bytes never become a Swift value: they go from OpenSSL to the file and back.
final class PrivateKey {
  let raw: OpaquePointer

  private init(adopting raw: OpaquePointer) { self.raw = raw }

  deinit { EVP_PKEY_free(raw) }

  static func generate() throws(AuthorityError) -> PrivateKey {
    guard let raw = florin_EVP_generate_P256() else { throw OpenSSLErrors.failure("A P-256 key could not be made") }
    return PrivateKey(adopting: raw)
  }

  /// Reads PEM. Nil if it is not a private key without a passphrase.
  init?(pem: [UInt8]) {
    ERR_clear_error()
    let raw: OpaquePointer? = pem.withUnsafeBytes { bytes in
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      // Without this callback OpenSSL asks at the terminal for the passphrase of an encrypted key.
      return PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
    }
    guard let raw else { return nil }
    self.raw = raw
  }

  /// Hands over the PEM (PKCS #8); the bytes are wiped when `body` returns.
  func withPEM<R>(_ body: (UnsafeRawBufferPointer) throws(AuthorityError) -> R) throws(AuthorityError) -> R {
    guard let bio = BIO_new(BIO_s_secmem()) else { throw OpenSSLErrors.failure("No memory for a key") }
    defer { BIO_free(bio) }  // BUF_MEM_free clears what it frees
    guard PEM_write_bio_PrivateKey(bio, raw, nil, nil, 0, nil, nil) == 1 else {
      throw OpenSSLErrors.failure("A key could not be written as PEM")
    }
    var start: UnsafePointer<CChar>?
    let count = florin_BIO_get_mem_data(bio, &start)
    return try body(UnsafeRawBufferPointer(start: start, count: count))
  }
}
