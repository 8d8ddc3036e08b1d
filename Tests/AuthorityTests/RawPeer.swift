import COpenSSL

/// A TLS peer straight on OpenSSL, without any of Florin's checks: it shows whatever certificate it is given, and believes
/// everybody. The other end of the tests in which a peer misbehaves.
final class RawPeer {
  struct Options {
    /// Shows the leaf in this directory; nil: shows none.
    var identity: String?
    /// Offers (client) or picks (server) this protocol; nil: none.
    var applicationProtocol: String? = "florin/1"
    var version = TLS1_3_VERSION
  }

  let ssl: OpaquePointer
  private let context: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer
  private(set) var received: [UInt8] = []
  /// OpenSSL's text for what went wrong: for a peer that was refused, the alert.
  private(set) var failure: String?
  private(set) var isEstablished = false

  struct Failure: Error { var what: String }

  init(client: Bool, _ options: Options) throws {
    ERR_clear_error()
    guard let context = SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()), let incoming = BIO_new(BIO_s_mem()),
      let outgoing = BIO_new(BIO_s_mem())
    else { throw Failure(what: "setup") }
    _ = florin_SSL_CTX_set_min_proto_version(context, options.version)
    _ = florin_SSL_CTX_set_max_proto_version(context, options.version)
    if let identity = options.identity {
      guard SSL_CTX_use_certificate_chain_file(context, identity + "/cert.pem") == 1,
        SSL_CTX_use_PrivateKey_file(context, identity + "/key.pem", SSL_FILETYPE_PEM) == 1
      else { throw Failure(what: "identity \(identity)") }
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, { _, _ in 1 })
    if let name = options.applicationProtocol {
      let list = [UInt8(name.utf8.count)] + Array(name.utf8)
      if client {
        SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
      } else {
        // Picks the first that is offered: the engine only ever offers one.
        SSL_CTX_set_alpn_select_cb(
          context,
          { _, chosen, length, offered, _, _ in
            guard let offered else { return SSL_TLSEXT_ERR_NOACK }
            chosen?.pointee = offered + 1
            length?.pointee = offered.pointee
            return SSL_TLSEXT_ERR_OK
          }, nil)
      }
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

  /// Takes bytes, goes on with the handshake or reads; returns what is to be sent.
  func step(_ bytes: [UInt8]) -> [UInt8] {
    ERR_clear_error()
    if !bytes.isEmpty { BIO_write(incoming, bytes, Int32(bytes.count)) }
    if failure == nil && !isEstablished {
      let result = SSL_do_handshake(ssl)
      isEstablished = result == 1
      if result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ { failure = errors() }
    }
    if failure == nil && isEstablished {
      var chunk = [UInt8](repeating: 0, count: 16_384)
      while true {
        let count = SSL_read(ssl, &chunk, Int32(chunk.count))
        if count > 0 {
          received += chunk[..<Int(count)]
          continue
        }
        let code = SSL_get_error(ssl, count)
        if code != SSL_ERROR_WANT_READ { failure = code == SSL_ERROR_ZERO_RETURN ? "close_notify" : errors() }
        break
      }
    }
    return output()
  }

  func send(_ bytes: [UInt8]) -> [UInt8] {
    SSL_write(ssl, bytes, Int32(bytes.count))
    return output()
  }

  /// Bytes with `count` key updates in them.
  func updateKeys(_ count: Int) -> [UInt8] {
    var all: [UInt8] = []
    for _ in 0..<count {
      SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED)
      SSL_do_handshake(ssl)
      all += output()
    }
    return all
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
