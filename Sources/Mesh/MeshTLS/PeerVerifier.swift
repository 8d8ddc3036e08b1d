internal import COpenSSL
internal import MeshProtocol

/// One connection's judge of its peer. OpenSSL verifies the chain and asks the judge about each certificate, *inside* the
/// handshake: a refused peer gets an alert and never a byte of application data.
final class PeerVerifier {
  private let peerRole: TLSRole
  private let trustDomain: String
  /// Nil: anyone of the trust domain; what they may do is the policy's business.
  private let expected: SPIFFEID?

  /// The peer, once its leaf has passed every check.
  private(set) var accepted: TLSPeer?
  /// The first thing that was wrong.
  private(set) var refusal: TLSError?

  init(peerRole: TLSRole, trustDomain: String, expected: SPIFFEID?) {
    self.peerRole = peerRole
    self.trustDomain = trustDomain
    self.expected = expected
  }

  func refuse(_ error: TLSError) {
    accepted = nil
    if refusal == nil { refusal = error }
  }

  /// Everything that is left to say once the chain is good and its leaf is at hand.
  private func judge(_ leaf: OpaquePointer, chain: OpaquePointer?, ssl: OpaquePointer?) throws(TLSError) {
    // EncryptedExtensions come before the server's certificate: a client knows by now.
    if peerRole == .server && !ApplicationProtocol.isAgreed(ssl) {
      throw TLSError(.alpn, "The server did not agree on \(TLSContext.applicationProtocol)")
    }
    var peer = try LeafCheck.identify(leaf, role: peerRole, trustDomain: trustDomain)
    if let expected, peer.id != expected { throw TLSError(.unexpectedPeer, "\(peer.id) answered where \(expected) was expected") }
    for index in 0..<florin_sk_X509_count(chain) {
      if let member = florin_sk_X509_at(chain, index) { peer.validUntil = min(peer.validUntil, X509Reader.notAfter(member)) }
    }
    accepted = peer
  }

  /// The judge of a connection. It lives as long as the engine that owns the connection.
  static func of(_ ssl: OpaquePointer?) -> PeerVerifier? {
    guard let ssl, let data = florin_SSL_get_app_data(ssl) else { return nil }
    return Unmanaged<PeerVerifier>.fromOpaque(data).takeUnretainedValue()
  }

  /// OpenSSL asks once for every error, and once (last for the leaf, at depth 0) for every certificate it accepts.
  static let certificateCallback: SSL_verify_cb = { isGood, verification in
    guard let verification else { return 0 }
    let ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()).map { OpaquePointer($0) }
    guard let judge = PeerVerifier.of(ssl) else {
      X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION)
      return 0
    }
    let depth = X509_STORE_CTX_get_error_depth(verification)
    if isGood != 1 {
      judge.refuse(LeafCheck.error(verification: X509_STORE_CTX_get_error(verification), depth: depth))
      return 0
    }
    guard depth == 0 else { return 1 }
    do throws(TLSError) {
      guard let leaf = X509_STORE_CTX_get_current_cert(verification) else {
        throw TLSError(.noCertificate, "The peer showed no certificate")
      }
      try judge.judge(leaf, chain: X509_STORE_CTX_get0_chain(verification), ssl: ssl)
      return 1
    } catch {
      judge.refuse(error)
      X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION)
      return 0
    }
  }
}
