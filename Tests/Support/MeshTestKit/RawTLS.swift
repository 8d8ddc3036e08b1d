internal import COpenSSL

/// A TLS end straight on OpenSSL, without any of Florin's checks: it shows whatever certificate it is given, and believes everybody.
final class RawTLS {
  struct Failure: Error { var what: String }

  private let ssl: OpaquePointer
  private let context: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer
  private(set) var isEstablished = false
  /// OpenSSL's text for what went wrong: for an end that was refused, the alert.
  private(set) var failure: String?

  /// - Parameter identity: a directory with cert.pem and key.pem; nil shows no certificate.
  init(client: Bool, identity: String?) throws {
    ERR_clear_error()
    guard let context = SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()), let incoming = BIO_new(BIO_s_mem()),
      let outgoing = BIO_new(BIO_s_mem())
    else { throw Failure(what: "setup") }
    if let identity {
      guard SSL_CTX_use_certificate_chain_file(context, identity + "/cert.pem") == 1,
        SSL_CTX_use_PrivateKey_file(context, identity + "/key.pem", SSL_FILETYPE_PEM) == 1
      else { throw Failure(what: "identity \(identity)") }
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, { _, _ in 1 })
    let list = [UInt8(8)] + Array("florin/1".utf8)
    if client {
      SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
    } else {
      SSL_CTX_set_alpn_select_cb(
        context,
        { _, chosen, length, offered, _, _ in
          guard let offered else { return SSL_TLSEXT_ERR_NOACK }
          chosen?.pointee = offered + 1
          length?.pointee = offered.pointee
          return SSL_TLSEXT_ERR_OK
        }, nil)
    }
    guard let ssl = SSL_new(context) else { throw Failure(what: "setup") }
    SSL_set_bio(ssl, incoming, outgoing)
    if client { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
    (self.ssl, self.context, self.incoming, self.outgoing) = (ssl, context, incoming, outgoing)
  }

  deinit {
    SSL_free(ssl)
    SSL_CTX_free(context)
  }

  /// Takes ciphertext. Returns plaintext, and what has to be sent.
  func receive(_ bytes: [UInt8]) -> (plaintext: [UInt8], toSend: [UInt8]) {
    ERR_clear_error()
    if !bytes.isEmpty { BIO_write(incoming, bytes, Int32(bytes.count)) }
    if failure == nil, !isEstablished {
      let result = SSL_do_handshake(ssl)
      isEstablished = result == 1
      if result != 1, SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ { failure = errors() }
    }
    var plaintext: [UInt8] = []
    if failure == nil, isEstablished {
      var chunk = [UInt8](repeating: 0, count: 16_384)
      while true {
        let count = SSL_read(ssl, &chunk, Int32(chunk.count))
        if count > 0 {
          plaintext += chunk[..<Int(count)]
          continue
        }
        let code = SSL_get_error(ssl, count)
        if code != SSL_ERROR_WANT_READ { failure = code == SSL_ERROR_ZERO_RETURN ? "close_notify" : errors() }
        break
      }
    }
    return (plaintext, output())
  }

  func encrypt(_ bytes: [UInt8]) -> [UInt8] {
    ERR_clear_error()
    SSL_write(ssl, bytes, Int32(bytes.count))
    return output()
  }

  private func output() -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = BIO_read(outgoing, &chunk, Int32(chunk.count))
      if count <= 0 { return all }
      all += chunk[..<Int(count)]
    }
  }

  private func errors() -> String {
    var texts: [String] = []
    while true {
      let code = ERR_get_error()
      if code == 0 { return texts.joined(separator: "; ") }
      texts.append(ERR_reason_error_string(code).map { String(cString: $0) } ?? "\(code)")
    }
  }
}
