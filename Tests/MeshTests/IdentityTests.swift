import Authority
import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import MeshTLS
import Testing

@Suite("Who may talk to whom", .serialized)
struct IdentityTests {
  @Test("a client is refused without a certificate, from another authority, with two URI SANs, of another trust domain, or expired")
  func clients() async throws {
    let server = try await TestServer()
    let good = try server.channel()
    let authority = try TestAuthority.shared()
    let bad: [(String, String?)] = [
      ("no certificate", nil),
      ("another authority", try TestAuthority.other().authority.leafDirectory("payment")),
      ("two URI SANs", try authority.leaf("payment") { $0.uris.append("spiffe://florin.local/ledger") }),
      ("another trust domain", try authority.leaf("payment") { $0.uris = ["spiffe://elsewhere.local/payment"] }),
      ("no URI SAN", try authority.leaf("payment") { $0.uris = [] }),
      ("for servers only", try authority.leaf("payment") { $0.usages = [.server] }),
      ("expired", try authority.leaf("payment") { $0.notAfter = $0.notBefore.adding(seconds: 1) }),
    ]
    for (what, identity) in bad {
      let raw = try await RawConnection.connect(server.port, identity: identity)
      let frames = try await raw.framesUntilClosed()
      #expect(frames.isEmpty, "\(what): \(frames)")
      try await raw.closed()
      #expect(try await good.call().message == [1, 2, 3], "\(what): another connection goes on")
    }
    #expect(server.server.runningHandlers == 0)
    await good.shutDown()
    try await server.stop()
  }

  @Test("a client's call is UNAUTHENTICATED, sent nowhere and not tried again, where the server is not who is meant")
  func servers() async throws {
    let authority = try TestAuthority.shared()
    // A sound service of the mesh, but another one.
    let account = try await TestServer(as: "account")
    let twoNames = try await RawConnection.serve(identity: authority.leaf("ledger") { $0.uris.append("spiffe://florin.local/account") })
    let foreign = try await RawConnection.serve(identity: try TestAuthority.other().authority.leafDirectory("ledger"))
    let clientOnly = try await RawConnection.serve(identity: authority.leaf("ledger") { $0.usages = [.client] })
    for port in [account.port, twoNames.port, foreign.port, clientOnly.port] {
      let channel = try MeshChannel.test([port])
      let failure = try await #require(error { try await channel.call() })
      #expect(failure.code == .unauthenticated)
      #expect(failure.executed == .no)
      #expect(failure.origin == .transport)
      await channel.shutDown()
    }
    for stop in [twoNames.stop, foreign.stop, clientOnly.stop] { await stop() }
    try await account.stop()
  }

  @Test("a client whose certificate the server refuses learns that it is its identity")
  func refusedByServer() async throws {
    let server = try await TestServer()
    let other = try TestAuthority.other()
    // The client trusts the server's root here, so that it is the server who refuses.
    var configuration = MeshChannelConfiguration(
      targets: [MeshAddress(host: "127.0.0.1", port: server.port)], expectedPeer: other.identity("ledger"),
      tls: try other.context("payment", .client), logger: TestServer.quiet)
    configuration.defaultTimeout = .seconds(30)
    let channel = MeshChannel(configuration: configuration)
    #expect(await error { try await channel.call() }?.code == .unauthenticated)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a method that the policy does not grant is denied before any handler, audited, and says nothing of what exists")
  func policy() async throws {
    let seen = MeshTestKit.Counter()
    let server = try await TestServer(
      policy: try Policy.parse(
        """
        version: 1
        trust_domain: florin.local
        rules:
          - identity: payment
            may: [test.Ledger/Post]
          - identity: operator/*
            may: [test.Ledger/GetBalance]
        """),
      methods: ["Post", "GetBalance", "Fund"].map { name in
        .test("test.Ledger/\(name)") { message, _ in
          seen.add()
          return RPCReply(message: message)
        }
      })
    let payment = try server.channel()
    let account = try server.channel(as: "account")
    let admin = try server.channel(as: "operator/admin")
    #expect(try await payment.call("test.Ledger/Post").message == [1, 2, 3])
    #expect(try await admin.call("test.Ledger/GetBalance").message == [1, 2, 3])
    #expect(seen.value == 2)
    for (channel, method) in [
      (payment, "test.Ledger/GetBalance"), (payment, "test.Ledger/Fund"), (payment, "test.Ledger/post"), (payment, "test.Ledger/None"),
      (account, "test.Ledger/Post"), (admin, "test.Ledger/Post"), (admin, ""),
    ] {
      let failure = try await #require(error { try await channel.call(method) })
      #expect(failure.code == .permissionDenied)
      #expect(failure.executed == .no)
    }
    #expect(seen.value == 2)
    // The audit record is made before the caller is answered.
    #expect(server.denied.all.count == 7)
    let first = DeniedCall(peer: SPIFFEID(trustDomain: "florin.local", path: "payment"), method: "test.Ledger/GetBalance")
    #expect(server.denied.all.first == first)
    for channel in [payment, account, admin] { await channel.shutDown() }
    try await server.stop()
  }

  @Test("an audit that hangs does not keep the caller waiting for ever, and the denial stands")
  func hangingAudit() async throws {
    let authority = try TestAuthority.shared()
    var configuration = MeshServerConfiguration(
      port: 0, tls: try authority.context("ledger", .server), policy: try .granting(["account"], ["test.Echo/Say"]),
      logger: TestServer.quiet)
    configuration.denialAuditLimit = .milliseconds(50)
    let server = try MeshServer(configuration: configuration, methods: [.echo]) { _ in try? await Gate().wait() }
    let running = Task { try await server.run() }
    let channel = try MeshChannel.test([try #require(await server.listening())])
    #expect(await error { try await channel.call() }?.code == .permissionDenied)
    await channel.shutDown()
    server.beginDrain()
    try await running.value
  }

  @Test("a server refuses to be made with a client's identity, a policy of another trust domain, or two handlers for a method")
  func construction() throws {
    let authority = try TestAuthority.shared()
    func code(_ tls: TLSContext, _ policy: Policy, _ methods: [RPCMethod]) -> MeshServerError.Code? {
      do throws(MeshServerError) {
        _ = try MeshServer(configuration: .init(port: 0, tls: tls, policy: policy, logger: TestServer.quiet), methods: methods)
        return nil
      } catch { return error.code }
    }
    let tls = try authority.context("ledger", .server)
    let policy = try Policy.granting(["payment"], ["test.Echo/Say"])
    #expect(code(tls, policy, [.echo]) == nil)
    #expect(code(try authority.context("ledger", .client), policy, [.echo]) == .wrongRole)
    #expect(code(tls, try .granting(["payment"], ["test.Echo/Say"], trustDomain: "other.local"), [.echo]) == .wrongTrustDomain)
    #expect(code(tls, policy, [.echo, .echo]) == .duplicateMethod)
  }
}
