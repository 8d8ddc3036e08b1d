internal import COpenSSL

/// What OpenSSL left on this thread's error queue.
struct OpenSSLFailure {
  /// The library and the reason of the first error, zero if there is none.
  private(set) var library: Int32 = 0
  private(set) var reason: Int32 = 0
  private(set) var text = "no reason given"

  /// Takes everything off the queue.
  static func drain() -> OpenSSLFailure {
    var failure = OpenSSLFailure()
    var texts: [String] = []
    while true {
      let code = ERR_get_error()
      if code == 0 { break }
      if texts.isEmpty { (failure.library, failure.reason) = (florin_ERR_GET_LIB(code), florin_ERR_GET_REASON(code)) }
      // Errors without a text of their own (system errors) have a number only.
      texts.append(ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)")
    }
    if !texts.isEmpty { failure.text = texts.joined(separator: "; ") }
    return failure
  }

  static func error(_ what: String) -> TLSError {
    let text = drain().text
    return TLSError(.other(text), "\(what): \(text)")
  }

  /// The reason of a failed handshake, or of a connection that broke, as far as OpenSSL tells it.
  var tlsError: TLSError {
    guard library == ERR_LIB_SSL else { return TLSError(.other(text), "OpenSSL: \(text)") }
    // Alerts of the peer are reasons from SSL_AD_REASON_OFFSET on.
    if reason >= SSL_AD_REASON_OFFSET {
      let alert = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET).map { String(cString: $0) } ?? "unknown"
      return TLSError(.refusedByPeer(alert: alert), "The peer refused with the alert \"\(alert)\": its log says why")
    }
    switch reason {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TLSError(.noCertificate, "The peer showed no certificate")
    case SSL_R_NO_APPLICATION_PROTOCOL: return TLSError(.alpn, "The peer does not offer \(TLSContext.applicationProtocol)")
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_VERSION_NUMBER, SSL_R_WRONG_SSL_VERSION, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
      return TLSError(.protocolVersion, "The peer does not speak TLS 1.3 (\(text))")
    default: return TLSError(.other(text), "OpenSSL: \(text)")
    }
  }
}
