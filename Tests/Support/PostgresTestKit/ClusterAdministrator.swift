import Authority
import Glibc
import Logging
import Migrations
import Postgres
import PostgresCluster

/// Does what blocks (initdb, psql, starting a server) on a thread of its own, one thing at a time.
actor ClusterAdministrator {
  private nonisolated let thread = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private var templates: [TemplateKey: Task<String, any Error>] = [:]
  private var count = 0

  private struct TemplateKey: Hashable {
    var service: String
    var checksums: [[UInt8]]
  }

  deinit { thread.stop() }

  func perform<R: Sendable>(_ work: @Sendable () throws -> R) throws -> R { try work() }

  func make(settings: [String: String], checksums: Bool, otherDatabases: Bool) throws -> TestCluster {
    let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let directory = "\(temporary)/florin-test-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 16))"
    guard mkdir(directory, 0o711) == 0 else { throw TestKitError("cannot make \(directory): \(String(cString: strerror(errno)))") }
    let authority = try Authority.initialize(directory: directory + "/certs").authority
    var janitor: ClusterGuard?
    var tries = 0
    while true {
      let server = try PostgresCluster(
        directory: directory + "/postgres", port: TestCluster.freePort(), serverIdentity: authority.leafDirectory("postgres"),
        acceptsOtherDatabases: otherDatabases, settings: settings)
      let guarded = try janitor ?? ClusterGuard(server, removing: directory)
      janitor = guarded
      do throws(ClusterError) {
        try server.initialize(checksums: checksums)
        try server.start()
        try server.provision()
        return TestCluster(authority: authority, server: server, administrator: self, janitor: guarded)
      } catch {
        // Between finding a free port and listening on it, somebody else may have taken it.
        tries += 1
        guard error.message.contains("Address already in use"), tries < 5 else { throw error }
      }
    }
  }

  func database(_ service: String, _ migrations: [Migration], _ cluster: TestCluster) async throws -> String {
    let template = try await template(service, migrations, cluster)
    let name = nextName(service)
    try cluster.server.createDatabase(name, service: service, template: template)
    return name
  }

  /// A migrated database to make copies of: copying is faster than migrating.
  private func template(_ service: String, _ migrations: [Migration], _ cluster: TestCluster) async throws -> String {
    let key = TemplateKey(service: service, checksums: migrations.map(\.checksum))
    if let known = templates[key] { return try await known.value }
    let name = nextName(service)
    let task = Task {
      try cluster.server.createDatabase(name, service: service)
      let database = TestDatabase(name: name, service: service, cluster: cluster)
      let connection = try await database.connect(as: .migrator)
      do {
        _ = try await Migrator.migrate(connection, schema: service, owner: service + "_owner", migrations: migrations, logger: .quiet)
        await connection.close()
      } catch {
        await connection.close()
        throw error
      }
      return name
    }
    templates[key] = task
    return try await task.value
  }

  private func nextName(_ service: String) -> String {
    count += 1
    return "\(service)_test_\(count)"
  }
}

extension TestCluster {
  /// A port of the loopback interface that nobody listens on, now.
  public static func freePort() throws -> Int {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0
      }
    }
    guard result else { throw TestKitError("no free port: \(String(cString: strerror(errno)))") }
    return Int(UInt16(bigEndian: address.sin_port))
  }
}

struct TestKitError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
