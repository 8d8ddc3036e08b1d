internal import COpenSSL

/// ALPN `florin/1`, without which there is no handshake at either end.
enum ApplicationProtocol {
  /// RFC 7301, section 3.1: each name after its length.
  static var wireList: [UInt8] { [UInt8(TLSContext.applicationProtocol.utf8.count)] + Array(TLSContext.applicationProtocol.utf8) }

  /// At the server, before anything else. `select` is not even asked when a client offers no protocol at all.
  static let requireOffer: SSL_client_hello_cb_fn = { ssl, alert, _ in
    var bytes: UnsafePointer<UInt8>?
    var count = 0
    if SSL_client_hello_get0_ext(ssl, UInt32(TLSEXT_TYPE_application_layer_protocol_negotiation), &bytes, &count) == 1 {
      return SSL_CLIENT_HELLO_SUCCESS
    }
    PeerVerifier.of(ssl)?.refuse(
      TLSError(.alpn, "The peer offers no application protocol; this mesh speaks \(TLSContext.applicationProtocol)"))
    alert?.pointee = SSL_AD_NO_APPLICATION_PROTOCOL
    return SSL_CLIENT_HELLO_ERROR
  }

  /// At the server: picks our protocol out of the client's list.
  static let select: SSL_CTX_alpn_select_cb_func = { ssl, chosen, chosenLength, offered, offeredLength, _ in
    let list = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
    var index = 0
    while index < list.count {
      let length = Int(list[index])
      let name = index + 1..<index + 1 + length
      if name.upperBound > list.count { break }
      if list[name].elementsEqual(TLSContext.applicationProtocol.utf8) {
        chosen?.pointee = list.baseAddress.map { $0 + name.lowerBound }
        chosenLength?.pointee = UInt8(length)
        return SSL_TLSEXT_ERR_OK
      }
      index = name.upperBound
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
  }

  /// Did both ends agree on it?
  static func isAgreed(_ ssl: OpaquePointer?) -> Bool {
    var bytes: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &bytes, &count)
    return UnsafeBufferPointer(start: bytes, count: Int(count)).elementsEqual(TLSContext.applicationProtocol.utf8)
  }
}
