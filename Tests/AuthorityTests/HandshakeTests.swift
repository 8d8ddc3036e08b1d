import COpenSSL
import MeshProtocol
import MeshTLS
import Money
import Testing

@Suite("Handshakes between two engines")
struct HandshakeTests {
  let mesh: TestMesh

  init() throws { mesh = try TestMesh() }

  @Test("Two services of the mesh know each other by name and speak TLS 1.3")
  func sound() throws {
    let pair = try mesh.pair()
    try pair.handshake()
    #expect(pair.client.state == .established && pair.server.state == .established)
    #expect(pair.client.peer?.id.description == "spiffe://florin.local/ledger")
    #expect(pair.server.peer?.id.description == "spiffe://florin.local/payment")
    #expect(pair.client.cipherSuite == "TLS_AES_128_GCM_SHA256")
    let leaf = try mesh.context("payment", .client).leaf
    #expect(pair.server.peer == leaf)
    #expect(leaf.validUntil == leaf.notAfter)
    #expect(leaf.serial.utf8.count == 32)
    try pair.sendToServer(Array("hello".utf8))
    try pair.sendToClient(Array("world".utf8))
    try pair.pump()
    #expect(pair.serverGot == Array("hello".utf8) && pair.clientGot == Array("world".utf8))
  }

  @Test("Bytes arrive whole and in order, however the stream is cut up", arguments: 1...24)
  func splitting(run: Int) throws {
    let seed = UInt64(run) &* 0x1234_5678_9abc_def1
    print("splitting: seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let pair = try mesh.pair(recordsPerKey: Int.random(in: 2...50, using: &random))
    let largest = [1, 3, 70, 1000, 40_000][Int.random(in: 0..<5, using: &random)]
    var sizes = random
    let size = { (_: Int) in Int.random(in: 1...largest, using: &sizes) }
    try pair.client.start(outbound: &pair.toServer)
    try pair.pump(size: size)
    var sentToServer: [UInt8] = []
    var sentToClient: [UInt8] = []
    for _ in 0..<8 {
      let limit = largest < 70 ? 2000 : 60_000
      let up = (0..<Int.random(in: 0...limit, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let down = (0..<Int.random(in: 0...limit, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 17) }
      try pair.sendToServer(up)
      try pair.sendToClient(down)
      sentToServer += up
      sentToClient += down
      if Bool.random(using: &random) { try pair.pump(size: size) }
    }
    try pair.pump(size: size)
    #expect(pair.serverGot == sentToServer, "seed \(seed)")
    #expect(pair.clientGot == sentToClient, "seed \(seed)")
  }

  @Test("One flipped bit ends the connection, and never changes what is read", arguments: 1...24)
  func bitFlips(run: Int) throws {
    let seed = UInt64(run) &* 0x9e37_79b9
    print("bitFlips: seed \(seed)")
    var random = SeededGenerator(seed: seed)
    let pair = try mesh.pair()
    try pair.handshake()
    let sent = (0..<20_000).map { UInt8(truncatingIfNeeded: $0) }
    try pair.sendToServer(sent)
    let index = Int.random(in: 0..<pair.toServer.count, using: &random)
    pair.toServer[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    do {
      try pair.pump()
      // A longer length in a record's header only makes the engine wait for more.
      #expect(throws: TLSError.self, "seed \(seed)") { try pair.server.endOfInput() }
    } catch {
      #expect(pair.server.state != .established && pair.server.peer == nil, "seed \(seed)")
      #expect(!pair.toClient.isEmpty, "an alert is due, seed \(seed)")
    }
    #expect(sent.starts(with: pair.serverGot), "seed \(seed)")
  }

  @Test("A server that is not the one that was meant is refused")
  func unexpected() throws {
    let pair = EnginePair(
      client: try TLSEngine(context: mesh.context("payment", .client), expecting: SPIFFEID(uri: "spiffe://florin.local/account")),
      server: try TLSEngine(context: mesh.context("ledger", .server)))
    let error = #expect(throws: TLSError.self) { try pair.handshake() }
    #expect(error?.reason == .unexpectedPeer)
    #expect(!pair.toServer.isEmpty, "the server is told by an alert")
    let told = #expect(throws: TLSError.self) { try pair.pump() }
    guard case .refusedByPeer = told?.reason else {
      Issue.record("the server reports \(String(describing: told))")
      return
    }
  }

  @Test("A key is replaced after its share of records, and both ends follow")
  func keyUpdates() throws {
    let pair = try mesh.pair(recordsPerKey: 3)
    try pair.handshake()
    var sent = (up: 0, down: 0)
    // Eight updates are within what a peer is allowed for this little data.
    for round in 0..<8 {
      try pair.sendToServer([UInt8](repeating: 7, count: 1 + round * 7000))
      try pair.sendToClient([UInt8](repeating: 9, count: 1 + round))
      sent = (sent.up + 1 + round * 7000, sent.down + 1 + round)
      try pair.pump()
    }
    #expect(pair.serverGot.count == sent.up && pair.clientGot.count == sent.down)
    #expect(pair.server.keyUpdatesReceived == 5 && pair.client.keyUpdatesReceived == 2)
  }

  @Test("No ticket is issued: after the handshake a server has nothing to say by itself")
  func noTickets() throws {
    let peer = try RawPeer(client: true, .init(identity: mesh.authority.leafDirectory("payment")))
    let server = try TLSEngine(context: mesh.context("ledger", .server))
    try exchange(peer, server)
    #expect(server.state == .established && peer.isEstablished)
    #expect(SSL_SESSION_has_ticket(SSL_get_session(peer.ssl)) == 0)
    #expect(SSL_SESSION_is_resumable(SSL_get_session(peer.ssl)) == 0)
  }

  @Test("A peer that says close_notify has ended well; one that only disappears has not")
  func endings() throws {
    let polite = try mesh.pair()
    try polite.handshake()
    try polite.sendToServer(Array("last words".utf8))
    polite.client.close(outbound: &polite.toServer)
    #expect(polite.client.state == .closed)
    var answer: [UInt8] = []
    let events = try polite.toServer.withUnsafeBytes { try polite.server.receive($0, plaintext: &polite.serverGot, outbound: &answer) }
    #expect(events == .peerClosed && polite.server.isPeerClosed)
    #expect(polite.serverGot == Array("last words".utf8))
    try polite.server.endOfInput()
    #expect(throws: TLSError.self) { try polite.sendToServer([1]) }

    let rude = try mesh.pair()
    try rude.handshake()
    #expect(#expect(throws: TLSError.self) { try rude.server.endOfInput() }?.reason == .truncated)

    let early = try mesh.pair()
    try early.client.start(outbound: &early.toServer)
    #expect(#expect(throws: TLSError.self) { try early.client.endOfInput() }?.reason == .truncated)
  }

  @Test("One context makes connections for many threads at once")
  func shared() async throws {
    let (client, server) = (try mesh.context("payment", .client), try mesh.context("ledger", .server))
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<64 {
        group.addTask {
          let pair = EnginePair(client: try TLSEngine(context: client), server: try TLSEngine(context: server))
          try pair.handshake()
          let sent = [UInt8](repeating: UInt8(number), count: 20_000)
          try pair.sendToServer(sent)
          try pair.pump()
          return pair.serverGot == sent
        }
      }
      for try await isWhole in group { #expect(isWhole) }
    }
  }

  @Test("Plaintext is refused before the handshake is done")
  func early() throws {
    let pair = try mesh.pair()
    #expect(#expect(throws: TLSError.self) { try pair.sendToServer([1]) }?.reason == .notEstablished)
    #expect(pair.toServer.isEmpty)
  }
}

/// Passes bytes to and fro until both are silent. Throws what the engine throws, once the peer has seen the alert.
func exchange(_ peer: RawPeer, _ engine: TLSEngine, plaintext: (([UInt8]) -> Void)? = nil) throws {
  var toPeer: [UInt8] = []
  try engine.start(outbound: &toPeer)
  var toEngine = peer.step(toPeer)
  while !toEngine.isEmpty {
    var out: [UInt8] = []
    var got: [UInt8] = []
    do {
      _ = try toEngine.withUnsafeBytes { try engine.receive($0, plaintext: &got, outbound: &out) }
    } catch {
      _ = peer.step(out)
      throw error
    }
    plaintext?(got)
    toEngine = peer.step(out)
  }
}
