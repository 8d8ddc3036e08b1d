public import Authority
internal import Glibc
public import Logging
public import Migrations
internal import Money
public import Postgres
public import PostgresCluster

/// A throw-away PostgreSQL cluster with certificates of its own, provisioned like a real one. Removed when the process ends,
/// also when it crashes.
public final class TestCluster: Sendable {
  public let authority: Authority
  /// For starting, stopping, killing; do so only to a cluster made by `separate`.
  public let server: PostgresCluster
  private let administrator: ClusterAdministrator
  private let janitor: ClusterGuard

  private static let sharedCluster = Task { try await separate() }

  /// The one cluster of this test process. Made by the first who asks; everybody else waits for it.
  public static func shared() async throws -> TestCluster { try await sharedCluster.value }

  /// A cluster of one's own, for tests that stop it or change its settings.
  /// - Parameters:
  ///   - settings: of postgresql.conf, instead of the usual ones.
  ///   - otherDatabases: false for the pg_hba.conf that is used outside of tests, where `database(…)` cannot be logged in to.
  public static func separate(
    settings: [String: String] = [:], checksums: Bool = true, otherDatabases: Bool = true
  ) async throws -> TestCluster {
    let administrator = ClusterAdministrator()
    return try await administrator.make(settings: settings, checksums: checksums, otherDatabases: otherDatabases)
  }

  init(authority: Authority, server: PostgresCluster, administrator: ClusterAdministrator, janitor: ClusterGuard) {
    self.authority = authority
    self.server = server
    self.administrator = administrator
    self.janitor = janitor
  }

  /// A new database for `service`, migrated, with the usual roles and rights, that no other test uses.
  public func database(_ service: String, migrations: [Migration] = []) async throws -> TestDatabase {
    let name = try await administrator.database(service, migrations, self)
    return TestDatabase(name: name, service: service, cluster: self)
  }

  /// One of the four databases that every cluster has. Shared by all tests, and without tables.
  public func standardDatabase(_ service: String) -> TestDatabase { TestDatabase(name: service, service: service, cluster: self) }

  /// Where the named leaf's certificate and key are: "ledger", "migrator", "operator/admin", ….
  public func identity(_ name: String) -> String { authority.leafDirectory(name) }

  /// Does something to the cluster that blocks, such as stopping it, on a thread made for that.
  @discardableResult
  public func administer<R: Sendable>(_ work: @Sendable (PostgresCluster) throws -> R) async throws -> R {
    try await administrator.perform { try work(server) }
  }
}

/// Who connects to a test database.
public enum TestRole: Sendable, Hashable {
  /// The service that the database belongs to, by its own certificate.
  case service
  case migrator
  case auditor
  /// The bootstrap superuser, over the Unix socket.
  case superuser
}

/// A database of a test cluster.
public struct TestDatabase: Sendable {
  public let name: String
  /// The service whose roles use it; its schema has this name too.
  public let service: String
  public let cluster: TestCluster

  public func configuration(for role: TestRole = .service, poolSize: Int = 8) -> PostgresConfiguration {
    let (user, identity): (String, String?) =
      switch role {
      case .service: (service + "_service", cluster.identity(service))
      case .migrator: ("migrator", cluster.identity("migrator"))
      case .auditor: ("auditor", cluster.identity("auditor"))
      case .superuser: ("postgres", nil)
      }
    return PostgresConfiguration(
      host: identity == nil ? cluster.server.socketDirectory : "127.0.0.1", port: cluster.server.port, database: name, user: user,
      identityDirectory: identity, applicationName: "florin-test", poolSize: poolSize)
  }

  public func connect(as role: TestRole = .service) async throws -> PostgresConnection {
    try await PostgresConnection.connect(configuration(for: role), logger: .quiet)
  }

  /// Runs `body` with a pool, and closes it.
  @discardableResult
  public func withPool<R: Sendable>(
    as role: TestRole = .service, size: Int = 8, _ body: @Sendable (PostgresPool) async throws -> R
  ) async throws -> R {
    let pool = PostgresPool(configuration(for: role, poolSize: size), logger: .quiet)
    do {
      let value = try await body(pool)
      await pool.close()
      return value
    } catch {
      await pool.close()
      throw error
    }
  }
}

extension Logger {
  /// Errors only: tests provoke warnings on purpose.
  public static var quiet: Logger {
    var logger = Logger(label: "florin.test")
    logger.logLevel = .error
    return logger
  }
}
