import AsyncHTTPClient
import Authority
import Foundation
import Glibc
import Logging
import MeshClient
import MeshProtocol
import MeshTLS
import Migrations
import NIOCore
import Outbox
import PostgresTestKit
import ServiceLifecycle
import Testing

@testable import ServiceRuntime

/// A service in this process, with real mesh, database and ops port, that stands for all services.
struct ServiceHarness: Sendable {
  static let echo = MethodDescriptor(path: "florin.test.v1.Echo/Say", idempotency: .idempotent)
  static let forbidden = MethodDescriptor(path: "florin.test.v1.Echo/Forbidden", idempotency: .idempotent)

  let cluster: TestCluster
  let database: String
  var configuration: ServiceConfiguration
  var migrations: [Migration] = [
    Migration(version: 100, name: "notes", sql: "CREATE TABLE notes (id int PRIMARY KEY); GRANT SELECT ON notes TO account_service")
  ]

  init(cluster: TestCluster, database: String? = nil) async throws {
    self.cluster = cluster
    if let database { self.database = database } else { self.database = try await cluster.database("account").name }
    let policy = FileManager.default.temporaryDirectory.appendingPathComponent("florin-policy-\(UUID().uuidString).yaml")
    try Data(
      """
      version: 1
      trust_domain: florin.local
      rules:
        - identity: operator/admin
          may:
            - florin.test.v1.Echo/Say
      """.utf8
    ).write(to: policy)
    configuration = ServiceConfiguration(
      listen: HostPort(host: "127.0.0.1", port: try Self.freePort()), opsListen: HostPort(host: "127.0.0.1", port: try Self.freePort()),
      identityDirectory: cluster.identity("account"), migrateIdentityDirectory: cluster.identity("migrator"), policyFile: policy.path,
      database: .init(host: "127.0.0.1", port: cluster.server.port, name: self.database, poolSize: 4), logLevel: .critical)
  }

  func definition(
    start: (@Sendable (ServiceEnvironment) async throws -> ServiceParts)? = nil,
    handler: @escaping @Sendable ([UInt8], CallContext) async throws -> RPCReply = { request, _ in RPCReply(message: request) }
  ) -> ServiceDefinition {
    ServiceDefinition(
      name: "account", version: "9.9.9", summary: "Stands for all services.", migrations: migrations,
      start: start ?? { _ in ServiceParts(methods: [RPCMethod(Self.echo, handle: handler), RPCMethod(Self.forbidden, handle: handler)]) })
  }

  func migrate() async throws { try await MigrationRun(definition(), configuration).run { _ in } }

  /// Runs the service while `body` runs, shuts it down gracefully, and waits for its end.
  func serve(
    _ definition: ServiceDefinition? = nil, _ body: @escaping @Sendable (ServiceGroup) async throws -> Void
  ) async throws {
    let process = ServiceProcess(definition ?? self.definition(), configuration)
    let group = ServiceGroup(services: [Process(process: process)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      do {
        try await body(group)
      } catch {
        Issue.record(error)
      }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
  }

  private struct Process: Service {
    let process: ServiceProcess
    func run() async throws { try await process.serve() }
  }

  /// The failure that ends the service when it is started; nil if it went on running.
  func failure(_ definition: ServiceDefinition? = nil) async -> ServiceFailure? {
    do {
      try await ServiceProcess(definition ?? self.definition(), configuration).serve()
      return nil
    } catch {
      return ServiceFailure(describing: error)
    }
  }

  /// GET on the ops port; nil if nobody answers.
  func get(_ path: String, accept: String? = nil) async -> (status: Int, body: String)? {
    var request = HTTPClientRequest(url: "http://\(configuration.opsListen)\(path)")
    if let accept { request.headers.add(name: "accept", value: accept) }
    guard let response = try? await HTTPClient.shared.execute(request, timeout: .seconds(10)),
      let body = try? await response.body.collect(upTo: 1 << 22)
    else { return nil }
    return (Int(response.status.code), String(buffer: body))
  }

  /// Waits until `/readyz` answers so.
  func waitUntil(ready: Bool, _ text: String = "") async throws {
    for _ in 0..<1500 {
      if let (status, body) = await get("/readyz"), (status == 200) == ready, text.isEmpty || body.contains(text) { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("/readyz has not become \(ready ? "green" : "red") in 30 s: \(String(describing: await get("/readyz")))")
  }

  /// Lends a channel to the service as an operator.
  func withChannel<R: Sendable>(_ body: @Sendable (MeshChannel) async throws -> R) async throws -> R {
    let tls = try TLSContext.load(IdentityFiles(directory: cluster.identity("operator/admin")), role: .client)
    let channel = MeshChannel(
      configuration: MeshChannelConfiguration(
        targets: [MeshAddress(host: configuration.listen.host, port: configuration.listen.port)],
        expectedPeer: SPIFFEID(trustDomain: "florin.local", path: "account"), tls: tls, logger: .quiet))
    do {
      let value = try await body(channel)
      await channel.shutDown()
      return value
    } catch {
      await channel.shutDown()
      throw error
    }
  }

  /// A port that was free just now.
  static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(descriptor, generic, size) == 0 && getsockname(descriptor, generic, &size) == 0
      } ? Int(UInt16(bigEndian: pointer.pointee.sin_port)) : 0
    }
    return try #require(port > 0 ? port : nil)
  }
}
