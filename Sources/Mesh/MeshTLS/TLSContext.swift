internal import COpenSSL
public import MeshProtocol
public import Money

/// Everything that connections of one role share: certificate, key, trusted roots and the rules of the mesh. Immutable;
/// a renewed identity is a new context.
///
/// TLS 1.3 only, three AEAD suites, X25519 and P-256, certificates both ways, ALPN `florin/1`, no resumption of any kind.
///
/// Unchecked `Sendable` is safe: the `SSL_CTX` is configured before the initializer returns and never changed again, its
/// reference count is atomic, and OpenSSL allows any number of threads to make connections from such a context
/// (openssl-threads(7)).
public final class TLSContext: @unchecked Sendable {
  public let role: TLSRole
  /// Our own leaf, as a peer will see it.
  public let leaf: TLSPeer
  let clock: any WallClock
  let raw: OpaquePointer

  /// The protocol and its major version, pinned by ALPN (RFC 7301).
  public static let applicationProtocol = "florin/1"

  public var identity: SPIFFEID { leaf.id }
  public var notAfter: Timestamp { leaf.notAfter }

  private init(role: TLSRole, leaf: TLSPeer, clock: any WallClock, adopting raw: OpaquePointer) {
    self.role = role
    self.leaf = leaf
    self.clock = clock
    self.raw = raw
  }

  deinit { SSL_CTX_free(raw) }

  /// Reads an identity and checks all of it: the key is private and fits the leaf, the chain ends in the bundle, nothing
  /// has expired, and the leaf is one that a peer of this mesh would accept.
  /// - Parameter clock: what "now" is, here and in every handshake.
  public static func load(_ files: IdentityFiles, role: TLSRole, clock: any WallClock = SystemWallClock()) throws(TLSError) -> TLSContext {
    try make(try files.read(), from: files, role: role, clock: clock)
  }

  /// So that contexts of both roles can come from one and the same reading of the files.
  static func make(_ material: IdentityFiles.Material, from files: IdentityFiles, role: TLSRole, clock: any WallClock) throws(TLSError)
    -> TLSContext
  {
    ERR_clear_error()
    guard let raw = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
      throw OpenSSLFailure.error("A TLS context could not be made")
    }
    do throws(TLSError) {
      try configure(raw, role: role)
      try install(material, in: raw, from: files)
      let leaf = try checkedLeaf(material, role: role, store: SSL_CTX_get_cert_store(raw), now: clock.now, directory: files.directory)
      return TLSContext(role: role, leaf: leaf, clock: clock, adopting: raw)
    } catch {
      SSL_CTX_free(raw)
      throw error
    }
  }

  private static func configure(_ raw: OpaquePointer, role: TLSRole) throws(TLSError) {
    let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    // Debian's openssl.cnf may have changed any default, so that nothing here relies on one.
    SSL_CTX_set_security_level(raw, 2)
    guard florin_SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1, florin_SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1,
      SSL_CTX_set_ciphersuites(raw, suites) == 1, florin_SSL_CTX_set1_groups_list(raw, "X25519:P-256") == 1,
      florin_SSL_CTX_set1_sigalgs_list(raw, "ECDSA+SHA256") == 1, SSL_CTX_set_num_tickets(raw, 0) == 1
    else { throw OpenSSLFailure.error("This OpenSSL lacks what the mesh needs (TLS 1.3, AES-GCM, X25519, P-256)") }
    florin_SSL_CTX_set_hardening(raw)
    florin_SSL_CTX_disable_session_cache(raw)
    SSL_CTX_set_max_early_data(raw, 0)
    florin_SSL_CTX_set_modes(raw)
    florin_SSL_CTX_set_read_ahead(raw, 1)
    florin_SSL_CTX_set_max_cert_list(raw, 32 * 1024)
    // Leaf, intermediate, a cross-signed root, root.
    SSL_CTX_set_verify_depth(raw, 4)
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, PeerVerifier.certificateCallback)
    switch role {
    case .server:
      SSL_CTX_set_client_hello_cb(raw, ApplicationProtocol.requireOffer, nil)
      SSL_CTX_set_alpn_select_cb(raw, ApplicationProtocol.select, nil)
    case .client:
      let list = ApplicationProtocol.wireList
      // Zero is success, for this function alone.
      guard SSL_CTX_set_alpn_protos(raw, list, UInt32(list.count)) == 0 else { throw OpenSSLFailure.error("ALPN could not be set") }
    }
  }

  private static func install(_ material: IdentityFiles.Material, in raw: OpaquePointer, from files: IdentityFiles) throws(TLSError) {
    let directory = files.directory
    guard florin_EVP_PKEY_is_P256(material.key.raw) == 1 else {
      throw TLSError(.damaged, "\(directory)/key.pem is not a P-256 key, which this mesh requires: issue the leaf again")
    }
    guard X509_check_private_key(material.certificates[0].raw, material.key.raw) == 1 else {
      ERR_clear_error()
      throw TLSError(
        .keyMismatch, "\(directory)/key.pem does not belong to the leaf in cert.pem: install the pair that was issued together")
    }
    guard SSL_CTX_use_certificate(raw, material.certificates[0].raw) == 1, SSL_CTX_use_PrivateKey(raw, material.key.raw) == 1 else {
      throw OpenSSLFailure.error("The leaf in \(directory) cannot be used")
    }
    for intermediate in material.certificates.dropFirst() where florin_SSL_CTX_add1_chain_cert(raw, intermediate.raw) != 1 {
      throw OpenSSLFailure.error("The chain in \(directory)/cert.pem cannot be used")
    }
    for root in material.roots {
      guard X509_check_ca(root.raw) > 0 else {
        throw TLSError(.damaged, "\(directory)/bundle.pem holds a certificate that is no CA: it must hold trusted roots only")
      }
      guard X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), root.raw) == 1 else {
        throw OpenSSLFailure.error("A root in \(directory)/bundle.pem cannot be used")
      }
    }
  }

  /// Judges our own leaf as a peer will.
  private static func checkedLeaf(
    _ material: IdentityFiles.Material, role: TLSRole, store: OpaquePointer?, now: Timestamp, directory: String
  ) throws(TLSError) -> TLSPeer {
    guard let chain = florin_sk_X509_new() else { throw OpenSSLFailure.error("No memory for a chain") }
    defer { florin_sk_X509_free(chain) }
    for certificate in material.certificates.dropFirst() where florin_sk_X509_push(chain, certificate.raw) != 1 {
      throw OpenSSLFailure.error("No memory for a chain")
    }
    guard let verification = X509_STORE_CTX_new() else { throw OpenSSLFailure.error("No memory for a verification") }
    defer { X509_STORE_CTX_free(verification) }
    guard X509_STORE_CTX_init(verification, store, material.certificates[0].raw, chain) == 1,
      X509_STORE_CTX_set_purpose(verification, role.purpose) == 1
    else { throw OpenSSLFailure.error("The chain in \(directory)/cert.pem cannot be checked") }
    X509_STORE_CTX_set_time(verification, 0, time_t(Timestamp.wholeSeconds(now)))
    guard X509_verify_cert(verification) == 1 else {
      ERR_clear_error()
      let depth = X509_STORE_CTX_get_error_depth(verification)
      let found = LeafCheck.error(verification: X509_STORE_CTX_get_error(verification), depth: depth)
      let until = X509Reader.notAfter(material.certificates[min(Int(depth), material.certificates.count - 1)].raw)
      let more = found.reason == .expired ? " (on \(until))" : ""
      throw TLSError(found.reason, "\(directory)/cert.pem cannot be used. \(found.message)\(more): renew it with `florin certs init`")
    }
    var leaf: TLSPeer
    do throws(TLSError) {
      leaf = try LeafCheck.identify(material.certificates[0].raw, role: role, trustDomain: nil)
    } catch {
      throw TLSError(error.reason, "\(directory)/cert.pem cannot be used. \(error.message)")
    }
    let verified = X509_STORE_CTX_get0_chain(verification)
    for index in 0..<florin_sk_X509_count(verified) {
      if let member = florin_sk_X509_at(verified, index) { leaf.validUntil = min(leaf.validUntil, X509Reader.notAfter(member)) }
    }
    return leaf
  }
}

extension Timestamp {
  /// Seconds since 1970.
  static func wholeSeconds(_ time: Timestamp) -> Int64 { time.microseconds / 1_000_000 }
}
