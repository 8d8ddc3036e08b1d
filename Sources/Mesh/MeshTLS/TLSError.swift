/// Why a TLS identity was not loaded, a handshake failed, or a connection ended.
///
/// The peer learns none of this but the TLS alert (RFC 8446, section 6).
public struct TLSError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Reason: Sendable, Hashable {
    // Files of an identity.
    case fileMissing, fileUnreadable, symbolicLink, openToOthers, damaged, keyMismatch
    // Certificates, ours when they are loaded and the peer's in a handshake.
    case expired, notYetValid, unknownCA, noCertificate, noSAN, severalSANs, notSPIFFE, wrongTrustDomain, unexpectedPeer, wrongEKU, caLeaf
    // The handshake.
    case alpn, protocolVersion
    /// The peer sent this fatal alert ("certificate expired", in OpenSSL's words).
    case refusedByPeer(alert: String)
    // The connection.
    /// The bytes ended without close_notify: what came before may have been cut off.
    case truncated
    /// More key updates than there was data for.
    case keyUpdateFlood
    /// Bytes for a connection that is not established yet, or not any more.
    case notEstablished
    case other(String)

    /// Stable and snake_case, for logs and metrics: bounded, whatever a peer sends.
    public var label: String {
      switch self {
      case .fileMissing: "file_missing"
      case .fileUnreadable: "file_unreadable"
      case .symbolicLink: "symbolic_link"
      case .openToOthers: "open_to_others"
      case .damaged: "damaged"
      case .keyMismatch: "key_mismatch"
      case .expired: "expired"
      case .notYetValid: "not_yet_valid"
      case .unknownCA: "unknown_ca"
      case .noCertificate: "no_certificate"
      case .noSAN: "no_san"
      case .severalSANs: "several_sans"
      case .notSPIFFE: "not_spiffe"
      case .wrongTrustDomain: "wrong_trust_domain"
      case .unexpectedPeer: "unexpected_peer"
      case .wrongEKU: "wrong_eku"
      case .caLeaf: "ca_leaf"
      case .alpn: "alpn"
      case .protocolVersion: "protocol_version"
      case .refusedByPeer: "refused_by_peer"
      case .truncated: "truncated"
      case .keyUpdateFlood: "key_update_flood"
      case .notEstablished: "not_established"
      case .other: "other"
      }
    }
  }

  public let reason: Reason
  /// What happened and, where somebody can do something about it, what to do.
  public let message: String

  package init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }

  public var description: String { "\(reason.label): \(message)" }
}
