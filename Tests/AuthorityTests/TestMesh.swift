import Authority
import MeshProtocol
import MeshTLS
import Money

/// A clock that stands still.
struct FixedClock: WallClock {
  var now: Timestamp
}

/// Deterministic random numbers (SplitMix64, Steele et al. 2014), so that a printed seed repeats a run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// An authority in a temporary directory, with the leaves `payment` and `ledger`, and others on request.
final class TestMesh: Sendable {
  let folder: TemporaryDirectory
  let authority: Authority
  let now: Timestamp

  init(trustDomain: String = "florin.local", now: Timestamp = SystemWallClock().now) throws {
    folder = try TemporaryDirectory()
    self.now = now
    authority = try Authority.initialize(
      directory: folder.path + "/certs", trustDomain: trustDomain, leaves: [.service("payment"), .service("ledger"), .client("auditor")],
      now: now
    ).authority
  }

  /// A sound leaf for `name`, to be spoilt by `change`; returns its directory.
  func leaf(_ name: String, _ change: (inout CertificateTemplate) -> Void = { _ in }) throws -> String {
    var template = CertificateTemplate(.service(name), trustDomain: authority.trustDomain, lifetime: .seconds(3600), now: now)
    change(&template)
    let directory = folder.path + "/leaf-\(UInt64.random(in: .min ... .max))"
    try authority.issue(template, into: directory)
    return directory
  }

  func files(_ name: String) -> IdentityFiles { IdentityFiles(directory: authority.leafDirectory(name)) }

  func context(_ name: String, _ role: TLSRole, clock: any WallClock = SystemWallClock()) throws -> TLSContext {
    try TLSContext.load(files(name), role: role, clock: clock)
  }

  /// payment as the client, ledger as the server.
  func pair(recordsPerKey: Int = TLSEngine.defaultRecordsPerKey) throws -> EnginePair {
    EnginePair(
      client: try TLSEngine(
        context: context("payment", .client), expecting: SPIFFEID(uri: "spiffe://florin.local/ledger"), recordsPerKey: recordsPerKey),
      server: try TLSEngine(context: context("ledger", .server), expecting: nil, recordsPerKey: recordsPerKey))
  }
}

/// Two engines and the bytes between them.
final class EnginePair {
  let client: TLSEngine
  let server: TLSEngine
  var toServer: [UInt8] = []
  var toClient: [UInt8] = []
  var clientGot: [UInt8] = []
  var serverGot: [UInt8] = []

  init(client: TLSEngine, server: TLSEngine) {
    self.client = client
    self.server = server
  }

  /// Delivers until nothing is under way, in pieces that `size` chooses.
  func pump(size: (Int) -> Int = { $0 }) throws {
    while !toServer.isEmpty || !toClient.isEmpty {
      if !toServer.isEmpty {
        let piece = take(from: &toServer, size)
        _ = try piece.withUnsafeBytes { try server.receive($0, plaintext: &serverGot, outbound: &toClient) }
      }
      if !toClient.isEmpty {
        let piece = take(from: &toClient, size)
        _ = try piece.withUnsafeBytes { try client.receive($0, plaintext: &clientGot, outbound: &toServer) }
      }
    }
  }

  private func take(from bytes: inout [UInt8], _ size: (Int) -> Int) -> [UInt8] {
    let count = max(1, min(bytes.count, size(bytes.count)))
    defer { bytes.removeFirst(count) }
    return Array(bytes.prefix(count))
  }

  func handshake() throws {
    try client.start(outbound: &toServer)
    try pump()
  }

  func sendToServer(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try client.encrypt($0, outbound: &toServer) } }
  func sendToClient(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try server.encrypt($0, outbound: &toClient) } }
}
