import Authority
import Foundation
import Postgres
import PostgresCluster
import PostgresTestKit
import Testing

@Suite("The private cluster") struct ClusterTests {
  @Test("A missing PostgreSQL is an error that says how to install it")
  func missing() {
    let error = #expect(throws: ClusterError.self) { try PostgresInstallation.find(majorVersion: 99, path: "/nonexistent") }
    #expect(error?.code == .missingPostgreSQL)
    #expect(error?.remedy.contains("apt-get install postgresql-99") == true)
  }

  @Test("A server without an identity is not configured, and the error says how to make one")
  func noIdentity() throws {
    let directory = FileManager.default.temporaryDirectory.path + "/florin-cluster-\(UUID().uuidString)"
    let cluster = try PostgresCluster(directory: directory, port: 1, serverIdentity: directory + "/nowhere")
    defer { try? cluster.destroy() }
    let error = #expect(throws: ClusterError.self) { try cluster.initialize() }
    #expect(error?.code == .noIdentity)
    #expect(error?.remedy.contains("florin certs init") == true)
  }

  @Test("Making, provisioning, stopping and starting again keep the data, wherever the directory is")
  func lifecycle() async throws {
    let top = FileManager.default.temporaryDirectory.path + "/florin-cluster-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: top) }
    // Like a clone below /root: PostgreSQL's own user cannot get there. And with a path too long for a socket.
    let closed = top + "/closed"
    try FileManager.default.createDirectory(atPath: closed, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let directory = closed + "/" + String(repeating: "long/", count: 20) + "state"
    let shared = try await TestCluster.shared()
    let identity = try Authority.initialize(directory: top + "/certs").authority.leafDirectory("postgres")
    let cluster = try PostgresCluster(directory: directory, port: TestCluster.freePort(), serverIdentity: identity)
    try await shared.administer { _ in
      for round in 0..<2 {
        try cluster.initialize()
        try cluster.start()
        try cluster.start()
        try cluster.provision()
        #expect(cluster.postmasterPID != nil)
        if round == 0 { try cluster.psql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);", database: "ledger") }
        #expect(try cluster.psql("SELECT count(*) FROM kept;", database: "ledger") == "1\n")
        try cluster.stop(round == 0 ? .fast : .immediate)
        #expect(cluster.postmasterPID == nil)
      }
      #expect(cluster.isInitialized)
      try cluster.destroy()
      #expect(!FileManager.default.fileExists(atPath: cluster.dataDirectory))
      #expect(!FileManager.default.fileExists(atPath: cluster.socketDirectory))
    }
  }

  @Test("A port that is taken is an error that shows the server's own words")
  func portTaken() async throws {
    let shared = try await TestCluster.shared()
    let directory = FileManager.default.temporaryDirectory.path + "/florin-cluster-\(UUID().uuidString)"
    let cluster = try PostgresCluster(directory: directory, port: shared.server.port, serverIdentity: shared.identity("postgres"))
    try await shared.administer { _ in
      try cluster.initialize()
      let error = #expect(throws: ClusterError.self) { try cluster.start() }
      #expect(error?.code == .serverFailed)
      #expect(error?.message.contains("Address already in use") == true)
      try cluster.destroy()
    }
  }

  @Test("A throw-away cluster is gone when its owner is")
  func guardian() async throws {
    var cluster: TestCluster? = try await TestCluster.separate()
    let server = try #require(cluster?.server)
    #expect(server.postmasterPID != nil)
    cluster = nil
    let deadline = ContinuousClock.now + .seconds(20)
    while FileManager.default.fileExists(atPath: server.directory), ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(50))
    }
    #expect(!FileManager.default.fileExists(atPath: server.directory))
    #expect(server.postmasterPID == nil)
  }
}
