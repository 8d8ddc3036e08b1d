import Authority
import MeshProtocol
import MeshTLS
import Money
import Testing

@Suite("Who is refused, as a client and as a server")
struct CertificateMatrixTests {
  /// One way to be wrong.
  enum Fault: String, CaseIterable, CustomTestStringConvertible {
    case expired, notYetValid, otherAuthority, noSAN, twoSANs, sameSANTwice, notSPIFFE, wrongTrustDomain, noUsage, wrongUsage, caLeaf

    var testDescription: String { rawValue }

    func label(loading: Bool) -> String? {
      switch self {
      case .expired: "expired"
      case .notYetValid: "not_yet_valid"
      case .otherAuthority: loading ? nil : "unknown_ca"
      case .noSAN: "no_san"
      case .twoSANs, .sameSANTwice: "several_sans"
      case .notSPIFFE: "not_spiffe"
      // Our own leaf is what says which trust domain is ours.
      case .wrongTrustDomain: loading ? nil : "wrong_trust_domain"
      case .noUsage, .wrongUsage: "wrong_eku"
      case .caLeaf: "ca_leaf"
      }
    }
  }

  let mesh: TestMesh
  let other: TestMesh

  init() throws {
    mesh = try TestMesh()
    other = try TestMesh()
  }

  /// The directory of a leaf with this fault, for a peer in this role.
  func identity(_ fault: Fault, _ role: TLSRole) throws -> String {
    if fault == .otherAuthority { return try other.leaf("payment") }
    let now = mesh.now
    return try mesh.leaf("payment") { template in
      switch fault {
      case .expired: (template.notBefore, template.notAfter) = (now.adding(seconds: -7200), now.adding(seconds: -1))
      case .notYetValid: template.notBefore = now.adding(seconds: 600)
      case .noSAN: template.uris = []
      case .twoSANs: template.uris.append("spiffe://florin.local/ledger")
      case .sameSANTwice: template.uris.append(template.uris[0])
      case .notSPIFFE: template.uris = ["https://florin.local/payment"]
      case .wrongTrustDomain: template.uris = ["spiffe://elsewhere.local/payment"]
      case .noUsage: template.usages = []
      case .wrongUsage: template.usages = role == .client ? [.server] : [.client]
      case .caLeaf: template.isAuthority = true
      case .otherAuthority: break
      }
    }
  }

  @Test(
    "A peer with a faulty certificate is refused with the right reason, is told by an alert, and gets no data",
    arguments: Fault.allCases, TLSRole.allCases)
  func refused(fault: Fault, role: TLSRole) throws {
    let peer = try RawPeer(client: role == .client, .init(identity: identity(fault, role)))
    let engine = try TLSEngine(context: mesh.context("ledger", role == .client ? .server : .client))
    let error = #expect(throws: TLSError.self) { try exchange(peer, engine) }
    #expect(error?.reason.label == fault.label(loading: false))
    #expect(engine.peer == nil)
    #expect(peer.failure?.contains("alert") == true, "the peer saw: \(peer.failure ?? "nothing")")
    #expect(peer.received.isEmpty)
    #expect(throws: TLSError.self) {
      var out: [UInt8] = []
      try [UInt8]([1]).withUnsafeBytes { try engine.encrypt($0, outbound: &out) }
    }
  }

  @Test("A process does not start with a faulty certificate of its own", arguments: Fault.allCases, TLSRole.allCases)
  func notLoaded(fault: Fault, role: TLSRole) throws {
    let files = IdentityFiles(directory: try identity(fault, role))
    guard let label = fault.label(loading: true) else { return }
    let error = #expect(throws: TLSError.self) { try TLSContext.load(files, role: role) }
    #expect(error?.reason.label == label)
    #expect(error?.message.contains(files.directory) == true)
  }

  @Test("A sound peer passes the same way, in both roles", arguments: TLSRole.allCases)
  func accepted(role: TLSRole) throws {
    let peer = try RawPeer(client: role == .client, .init(identity: mesh.leaf("payment")))
    let engine = try TLSEngine(context: mesh.context("ledger", role == .client ? .server : .client))
    try exchange(peer, engine)
    #expect(engine.state == .established && engine.peer?.id.path == "payment")
  }

  @Test("A person's certificate is good for calling and not for serving")
  func clientOnly() throws {
    #expect(try mesh.context("auditor", .client).identity.path == "auditor")
    #expect(#expect(throws: TLSError.self) { try mesh.context("auditor", .server) }?.reason == .wrongEKU)
  }

  @Test("Without a certificate there is no connection")
  func noCertificate() throws {
    let peer = try RawPeer(client: true, .init())
    let engine = try TLSEngine(context: mesh.context("ledger", .server))
    #expect(#expect(throws: TLSError.self) { try exchange(peer, engine) }?.reason == .noCertificate)
    #expect(peer.failure?.contains("certificate required") == true)
  }

  @Test("The protocol must be florin/1: none or another is refused, in both roles", arguments: [nil, "h2"], TLSRole.allCases)
  func applicationProtocol(name: String?, role: TLSRole) throws {
    // A server that was offered one protocol can pick no other; it can only pick none.
    if role == .server && name != nil { return }
    let peer = try RawPeer(client: role == .client, .init(identity: mesh.leaf("payment"), applicationProtocol: name))
    let engine = try TLSEngine(context: mesh.context("ledger", role == .client ? .server : .client))
    #expect(#expect(throws: TLSError.self) { try exchange(peer, engine) }?.reason == .alpn)
    #expect(peer.failure?.contains("alert") == true)
  }

  @Test("TLS 1.2 is refused, in both roles", arguments: TLSRole.allCases)
  func oldVersion(role: TLSRole) throws {
    let peer = try RawPeer(client: role == .client, .init(identity: mesh.leaf("payment"), version: 0x0303))
    let engine = try TLSEngine(context: mesh.context("ledger", role == .client ? .server : .client))
    let error = #expect(throws: TLSError.self) { try exchange(peer, engine) }
    if role == .client { #expect(error?.reason == .protocolVersion) }
    #expect(peer.failure != nil && engine.peer == nil)
  }

  @Test(
    "What is no TLS at all is refused at once", arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{0}\u{0}\u{0}\u{10}plain frame here"])
  func notTLS(text: String) throws {
    let engine = try TLSEngine(context: mesh.context("ledger", .server))
    var out: [UInt8] = []
    var plain: [UInt8] = []
    let error = #expect(throws: TLSError.self) {
      try Array(text.utf8).withUnsafeBytes { try engine.receive($0, plaintext: &plain, outbound: &out) }
    }
    #expect(error?.reason == .protocolVersion)
    #expect(plain.isEmpty)
  }

  @Test("A peer that floods with key updates is cut off")
  func keyUpdateFlood() throws {
    let peer = try RawPeer(client: true, .init(identity: mesh.leaf("payment")))
    let engine = try TLSEngine(context: mesh.context("ledger", .server))
    try exchange(peer, engine)
    var out: [UInt8] = []
    var plain: [UInt8] = []
    let few = peer.updateKeys(8) + peer.send(Array("still fine".utf8))
    _ = try few.withUnsafeBytes { try engine.receive($0, plaintext: &plain, outbound: &out) }
    #expect(plain == Array("still fine".utf8))
    let many = peer.updateKeys(500)
    let error = #expect(throws: TLSError.self) { try many.withUnsafeBytes { try engine.receive($0, plaintext: &plain, outbound: &out) } }
    #expect(error?.reason == .keyUpdateFlood)
    #expect(out.count < 4096, "the answers are bounded: \(out.count) bytes")
  }

  @Test("Certificates are judged by the injected clock")
  func clock() throws {
    let late = FixedClock(now: mesh.now.adding(seconds: 25 * 3600))
    #expect(#expect(throws: TLSError.self) { try mesh.context("ledger", .server, clock: late) }?.reason == .expired)
    let early = FixedClock(now: mesh.now.adding(seconds: -3600))
    #expect(#expect(throws: TLSError.self) { try mesh.context("ledger", .server, clock: early) }?.reason == .notYetValid)

    // Ours is sound for long; the peer's leaf has an hour, and our clock says that two have passed.
    let later = FixedClock(now: mesh.now.adding(seconds: 7200))
    let peer = try RawPeer(client: true, .init(identity: mesh.leaf("payment")))
    let engine = try TLSEngine(context: mesh.context("ledger", .server, clock: later))
    #expect(#expect(throws: TLSError.self) { try exchange(peer, engine) }?.reason == .expired)
  }
}
