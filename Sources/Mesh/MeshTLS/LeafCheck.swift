internal import COpenSSL
internal import MeshProtocol

/// What a leaf must be in this mesh beyond what OpenSSL asks of a certificate: exactly one URI SAN, which is a SPIFFE id
/// of the trust domain; the extended key usage of its role, stated and not merely left open; not a CA.
enum LeafCheck {
  /// - Parameter trustDomain: nil when our own identity is read, which is what says the trust domain.
  static func identify(_ leaf: OpaquePointer, role: TLSRole, trustDomain: String?) throws(TLSError) -> TLSPeer {
    let flags = X509_get_extension_flags(leaf)
    if flags & UInt32(EXFLAG_INVALID) != 0 { throw TLSError(.damaged, "The certificate has extensions that cannot be read") }
    if flags & UInt32(EXFLAG_CA) != 0 { throw TLSError(.caLeaf, "A CA certificate was shown as a leaf") }
    let usages = flags & UInt32(EXFLAG_XKUSAGE) == 0 ? 0 : X509_get_extended_key_usage(leaf)
    if usages & role.requiredUsage == 0 {
      throw TLSError(.wrongEKU, "The certificate is not for \(role.usageName), which a \(role.rawValue) needs")
    }
    let uris = try X509Reader.uris(leaf)
    if uris.isEmpty { throw TLSError(.noSAN, "The certificate has no URI subject alternative name, so no SPIFFE id") }
    if uris.count > 1 {
      throw TLSError(.severalSANs, "The certificate has \(uris.count) URI subject alternative names; exactly one is allowed")
    }
    guard let id = SPIFFEID(uri: uris[0]) else { throw TLSError(.notSPIFFE, "\(bounded(uris[0])) is not a SPIFFE id") }
    if let trustDomain, id.trustDomain != trustDomain {
      throw TLSError(.wrongTrustDomain, "\(id) is not of the trust domain \(trustDomain)")
    }
    let notAfter = X509Reader.notAfter(leaf)
    return TLSPeer(
      id: id, notBefore: X509Reader.notBefore(leaf), notAfter: notAfter, validUntil: notAfter, serial: X509Reader.serial(leaf),
      issuer: X509Reader.issuer(leaf))
  }

  /// What a peer wrote, fit for a log line.
  private static func bounded(_ text: String) -> String {
    String(decoding: text.utf8.prefix(200).map { (0x21...0x7e).contains($0) ? $0 : 0x3f }, as: UTF8.self)
  }

  /// OpenSSL's verdict on a chain, in our words.
  static func error(verification code: Int32, depth: Int32) -> TLSError {
    let text = String(cString: X509_verify_cert_error_string(Int(code)))
    let which = depth == 0 ? "leaf" : "CA certificate at depth \(depth)"
    switch code {
    case X509_V_ERR_CERT_HAS_EXPIRED: return TLSError(.expired, "The \(which) has expired")
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLSError(.notYetValid, "The \(which) is not valid yet: compare the clocks")
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE,
      X509_V_ERR_INVALID_CA, X509_V_ERR_CERT_UNTRUSTED, X509_V_ERR_CERT_CHAIN_TOO_LONG, X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return TLSError(.unknownCA, "The \(which) was not issued under a root of our trust bundle (\(text))")
    case X509_V_ERR_INVALID_PURPOSE: return TLSError(.wrongEKU, "The \(which) is not for this use (\(text))")
    default: return TLSError(.other(text), "The \(which) was refused: \(text)")
    }
  }
}
