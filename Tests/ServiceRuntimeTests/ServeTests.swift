import Foundation
import Glibc
import Logging
import MeshProtocol
import Migrations
import Outbox
import Postgres
import PostgresTestKit
import ServiceLifecycle
import Synchronization
import Testing

@testable import ServiceRuntime

@Suite("Serving", .serialized)
struct ServeTests {
  @Test("A service comes up, answers the mesh, tells its health and metrics, and goes down gracefully")
  func wholeLife() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    try await harness.serve { _ in
      try await harness.waitUntil(ready: true)
      let reply = try await harness.withChannel { try await $0.unary(ServiceHarness.echo, Array("hello".utf8), options: CallOptions()) }
      #expect(reply.message == Array("hello".utf8))
      let live = try #require(await harness.get("/livez"))
      #expect(live.status == 200 && live.body == "{\"status\":\"alive\"}\n")
      let ready = try #require(await harness.get("/readyz"))
      #expect(ready.status == 200)
      #expect(
        ready.body
          == #"{"status":"ready","service":"account","checks":[{"name":"started","ready":true},{"name":"database","ready":true},{"name":"certificate","ready":true}]}"#
          + "\n")
      let metrics = try #require(await harness.get("/metrics", accept: "application/openmetrics-text"))
      #expect(metrics.status == 200 && metrics.body.hasSuffix("# EOF\n"))
      for text in [
        "florin_build_info{", #"rpc_server_calls_total{code="OK",method="florin.test.v1.Echo/Say"}"#, "process_resident_memory_bytes ",
        "process_open_fds ", "process_threads ", "postgres_pool_connections{", "service_ready 1", "tls_certificate_not_after_seconds ",
      ] { #expect(metrics.body.contains(text), "\(text)") }
      #expect(await harness.get("/metrics")?.body.contains("# EOF") == false)
      #expect(await harness.get("/other")?.status == 404)
    }
    #expect(await harness.get("/livez") == nil)
  }

  @Test("A call's deadline is bound for the statements of its handler")
  func deadline() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    let seen = Locked<Bool?>(nil)
    let definition = harness.definition(handler: { request, context in
      seen.withLock { $0 = Deadline.current != nil && Deadline.current == context.deadline }
      return RPCReply(message: request)
    })
    try await harness.serve(definition) { _ in
      try await harness.waitUntil(ready: true)
      _ = try await harness.withChannel { try await $0.unary(ServiceHarness.echo, [], options: CallOptions(timeout: .seconds(5))) }
    }
    #expect(seen.withLock { $0 } == true)
  }

  @Test("A denied call leaves a row in the audit log")
  func denial() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    try await harness.serve { _ in
      try await harness.waitUntil(ready: true)
      let error = await #expect(throws: RPCError.self) {
        try await harness.withChannel { try await $0.unary(ServiceHarness.forbidden, [], options: CallOptions()) }
      }
      #expect(error?.code == .permissionDenied)
    }
    var auditor = PostgresConfiguration(
      host: "127.0.0.1", port: harness.cluster.server.port, database: harness.database, user: "auditor",
      identityDirectory: harness.cluster.identity("auditor"))
    auditor.poolSize = 1
    let connection = try await PostgresConnection.connect(auditor, logger: .quiet)
    let rows = try await connection.query("SELECT actor, subject, outcome FROM account.audit_log WHERE action = 'rpc.denied'")
    await connection.close()
    #expect(try rows.map { try $0.text("actor") } == ["/operator/admin"])
    #expect(try rows.map { try $0.text("subject") } == [ServiceHarness.forbidden.path])
    #expect(try rows.map { try $0.text("outcome") } == ["denied"])
  }

  @Test(
    "At shutdown a call under way is answered, work that it started is finished, and background work has ended before", arguments: 0..<3)
  func gracefulShutdown(round: Int) async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    let order = Locked<[String]>([])
    let arrived = Box()
    let definition = harness.definition(start: { environment in
      let handler: @Sendable ([UInt8], CallContext) async throws -> RPCReply = { request, _ in
        arrived.open()
        // Until the shutdown has begun, which the handler sees by the readiness of its own process.
        while await harness.get("/readyz")?.status == 200 { try await Task.sleep(for: .milliseconds(5)) }
        try environment.supervisor.run("after") {
          try await Task.sleep(for: .milliseconds(50))
          // The pool must still be there.
          try await environment.pool.query("SELECT 1")
          order.withLock { $0.append("supervised") }
        }
        order.withLock { $0.append("answered") }
        return RPCReply(message: request)
      }
      return ServiceParts(
        methods: [RPCMethod(ServiceHarness.echo, handle: handler)], background: [Background { order.withLock { $0.append("background") } }])
    })
    try await harness.serve(definition) { group in
      try await harness.waitUntil(ready: true)
      async let reply = harness.withChannel { try await $0.unary(ServiceHarness.echo, [1], options: CallOptions(timeout: .seconds(10))) }
      await arrived.opened()
      await group.triggerGracefulShutdown()
      #expect(try await reply.message == [1])
    }
    #expect(order.withLock { $0 } == ["answered", "background", "supervised"])
  }

  private struct Background: Service {
    let onEnd: @Sendable () -> Void
    func run() async throws {
      try? await ServiceLifecycle.gracefulShutdown()
      onEnd()
    }
  }

  @Test("Without migrations the service refuses to start and says what to run")
  func unmigrated() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    let failure = try #require(await harness.failure())
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("run `account migrate`"), "\(failure.message)")
    try await harness.migrate()
    var newer = harness
    newer.migrations.append(Migration(version: 101, name: "more", sql: "SELECT 1"))
    let pending = try #require(await newer.failure())
    #expect(pending.code == .configuration)
    #expect(pending.message.contains("101 (more)"), "\(pending.message)")
  }

  @Test("A database that is not there is waited for: alive, not ready, then ready without a restart; and red again when it dies")
  func databaseComesAndGoes() async throws {
    let cluster = try await TestCluster.separate()
    let harness = try await ServiceHarness(cluster: cluster)
    try await harness.migrate()
    try await cluster.administer { try $0.stop() }
    try await harness.serve { _ in
      try await harness.waitUntil(ready: false, "the database can't be used yet")
      #expect(await harness.get("/livez")?.status == 200)
      try await cluster.administer { try $0.start() }
      try await harness.waitUntil(ready: true)
      try await cluster.administer { try $0.stop() }
      try await harness.waitUntil(ready: false, #"{"name":"database","ready":false,"reason":""#)
      #expect(await harness.get("/livez")?.status == 200)
      try await cluster.administer { try $0.start() }
      try await harness.waitUntil(ready: true)
    }
  }

  @Test("Shutdown works while the database is still being waited for")
  func shutdownWhileWaiting() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    harness.configuration.database.port = try ServiceHarness.freePort()
    let waiting = harness
    try await waiting.serve { _ in try await waiting.waitUntil(ready: false) }
  }

  @Test("A process that is cancelled ends too, while it waits and while it serves", .timeLimit(.minutes(1)))
  func cancellation() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    let port = harness.configuration.database.port
    for port in [port, try ServiceHarness.freePort()] {
      harness.configuration.database.port = port
      let service = harness
      let task = Task { await service.failure() }
      try await service.waitUntil(ready: port == service.cluster.server.port)
      task.cancel()
      _ = await task.value
      #expect(await service.get("/livez") == nil)
    }
  }

  @Test("Another service's identity, a policy that is missing and an endpoint that is none are refused")
  func refusals() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    harness.configuration.identityDirectory = harness.cluster.identity("ledger")
    let identity = try #require(await harness.failure())
    #expect(identity.code == .configuration && identity.message.contains("spiffe://florin.local/ledger, not that of 'account'"))

    harness = try await ServiceHarness(cluster: .shared())
    harness.configuration.policyFile = "/nowhere/policy.yaml"
    let policy = try #require(await harness.failure())
    #expect(policy.code == .configuration && policy.message.contains("/nowhere/policy.yaml"))

    harness = try await ServiceHarness(cluster: .shared())
    harness.configuration.otlpEndpoint = "nonsense"
    #expect(await harness.failure()?.code == .configuration)
  }

  @Test("A port that is taken is refused with its key, for ops and for the mesh")
  func portsTaken() async throws {
    let first = try await ServiceHarness(cluster: .shared())
    try await first.migrate()
    try await first.serve { _ in
      try await first.waitUntil(ready: true)
      var ops = first
      ops.configuration.listen = HostPort(host: "127.0.0.1", port: try ServiceHarness.freePort())
      let opsFailure = try #require(await ops.failure())
      #expect(opsFailure.code == .configuration && opsFailure.message.contains("ops.listen \(first.configuration.opsListen)"))
      var mesh = first
      mesh.configuration.opsListen = HostPort(host: "127.0.0.1", port: try ServiceHarness.freePort())
      let meshFailure = try #require(await mesh.failure())
      #expect(meshFailure.code == .configuration && meshFailure.message.contains("\(first.configuration.listen)"))
    }
  }

  @Test("What start throws ends the process, with its exit code")
  func startFails() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    let missing = await harness.failure(
      harness.definition(start: { environment in
        _ = try environment.channel(to: "ledger")
        return ServiceParts(methods: [])
      }))
    #expect(missing?.code == .configuration)
    #expect(missing?.message.contains("peers.ledger") == true)
  }

  @Test("Background work that fails, or ends by itself, ends the process")
  func backgroundEnds() async throws {
    struct Ending: Service {
      let error: ServiceFailure?
      func run() async throws { if let error { throw error } }
    }
    let harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    let failed = await harness.failure(
      harness.definition(start: { _ in ServiceParts(methods: [], background: [Ending(error: ServiceFailure(.failed, "on purpose"))]) }))
    #expect(failed == ServiceFailure(.failed, "on purpose"))
    let ended = await harness.failure(harness.definition(start: { _ in ServiceParts(methods: [], background: [Ending(error: nil)]) }))
    #expect(ended?.code == .internalBug)
    #expect(ended?.message.contains("ended without having been asked to: Ending") == true)
  }

  @Test("When the lifeline's other end is closed the process ends by itself")
  func lifeline() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    try await harness.migrate()
    var descriptors: [Int32] = [0, 0]
    try #require(pipe(&descriptors) == 0)
    let (reader, writer) = (descriptors[0], descriptors[1])
    defer { close(reader) }
    harness.configuration.lifelineDescriptor = reader
    let service = harness
    async let failure = service.failure()
    try await service.waitUntil(ready: true)
    close(writer)
    #expect(await failure == nil)
    #expect(await service.get("/livez") == nil)
  }
}
