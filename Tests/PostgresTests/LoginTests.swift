import Authority
import Foundation
import Migrations
import Postgres
import PostgresCluster
import PostgresTestKit
import Testing

private let services = PostgresCluster.standardDatabases

@Suite("Who may log in to which database") struct LoginTests {
  /// Expects the log-in to be refused, and says with which words.
  private func expectRefusal(
    _ configuration: PostgresConfiguration, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    do {
      let connection = try await PostgresConnection.connect(configuration, logger: .quiet)
      await connection.close()
      Issue.record("\(what): was let in", sourceLocation: sourceLocation)
    } catch {
      #expect([.refused, .unreachable].contains(error.code), "\(what): \(error)", sourceLocation: sourceLocation)
    }
  }

  @Test("A service logs in to its own database by its certificate", arguments: services)
  func ownDatabase(service: String) async throws {
    let connection = try await TestCluster.shared().standardDatabase(service).connect()
    let row = try #require(
      try await connection.query(
        """
        SELECT current_user::text AS me, current_database()::text AS here, s.ssl AS encrypted, s.version AS protocol, s.client_dn AS subject
        FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()
        """
      ).first)
    #expect(try row.text("me") == service + "_service")
    #expect(try row.text("here") == service)
    #expect(try row.bool("encrypted"))
    #expect(try row.text("protocol") == "TLSv1.3")
    #expect(try row.text("subject").contains("/CN=\(service)"))
    await connection.close()
  }

  @Test("A service's certificate is refused by the other three databases, under every role", arguments: services, services)
  func otherDatabases(service: String, database: String) async throws {
    guard service != database else { return }
    let cluster = try await TestCluster.separateStrict()
    var configuration = cluster.standardDatabase(database).configuration()
    configuration.identityDirectory = cluster.identity(service)
    for user in ["\(service)_service", "\(database)_service", "\(database)_owner", "migrator", "auditor", "postgres"] {
      configuration.user = user
      await expectRefusal(configuration, "\(service)'s certificate as \(user) on \(database)")
    }
  }

  @Test("A service's certificate is refused for every role but its own, on its own database too", arguments: services)
  func otherRoles(service: String) async throws {
    let cluster = try await TestCluster.shared()
    var configuration = cluster.standardDatabase(service).configuration()
    for user in ["\(service)_owner", "migrator", "auditor", "postgres"] + services.filter({ $0 != service }).map({ "\($0)_service" }) {
      configuration.user = user
      await expectRefusal(configuration, "\(service)'s certificate as \(user)")
    }
    configuration.user = "\(service)_service"
    for database in ["postgres", "template1"] {
      configuration.database = database
      await expectRefusal(configuration, "\(service)'s certificate on \(database)")
    }
  }

  @Test("Nobody gets in without a certificate, with one of another authority, or with one whose name is not mapped")
  func foreignCertificates() async throws {
    let cluster = try await TestCluster.shared()
    let directory = FileManager.default.temporaryDirectory.path + "/florin-login-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let database = cluster.standardDatabase("ledger")

    let empty = directory + "/empty"
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: cluster.identity("ledger") + "/bundle.pem", toPath: empty + "/bundle.pem")
    var configuration = database.configuration()
    configuration.identityDirectory = empty
    await expectRefusal(configuration, "no certificate")

    let foreign = try Authority.initialize(directory: directory + "/foreign").authority
    let mixed = directory + "/mixed"
    try FileManager.default.copyItem(atPath: foreign.leafDirectory("ledger"), toPath: mixed)
    try FileManager.default.removeItem(atPath: mixed + "/bundle.pem")
    try FileManager.default.copyItem(atPath: cluster.identity("ledger") + "/bundle.pem", toPath: mixed + "/bundle.pem")
    configuration.identityDirectory = mixed
    await expectRefusal(configuration, "a certificate of another authority")

    // And the other way round: we refuse a server that another authority vouches for.
    configuration.identityDirectory = foreign.leafDirectory("ledger")
    await expectRefusal(configuration, "a server of another authority")

    configuration.identityDirectory = cluster.identity("operator/admin")
    await expectRefusal(configuration, "an operator's certificate")

    // The server's own certificate is none for log-in.
    configuration.identityDirectory = cluster.identity("postgres")
    await expectRefusal(configuration, "the server's certificate")
  }

  @Test("TCP without TLS and the Unix socket are closed to services")
  func withoutTLS() async throws {
    let cluster = try await TestCluster.shared()
    var configuration = cluster.standardDatabase("ledger").configuration()
    configuration.identityDirectory = nil
    await #expect(throws: PostgresError.self) { _ = try await PostgresConnection.connect(configuration, logger: .quiet) }
    configuration.host = cluster.server.socketDirectory
    await expectRefusal(configuration, "the Unix socket as ledger_service")
    let rules = try String(contentsOfFile: cluster.server.dataDirectory + "/pg_hba.conf", encoding: .utf8)
    for word in ["trust", "password", "md5", "scram", "0.0.0.0", "::/0"] { #expect(!rules.contains(word)) }
  }

  @Test("The auditor reads every database and writes to none")
  func auditor() async throws {
    let cluster = try await TestCluster.shared()
    let database = try await cluster.database("ledger", migrations: [Migration.notes])
    try await database.withPool { try await $0.query("INSERT INTO notes (id, text) VALUES (1, 'one')") }
    let auditor = try await database.connect(as: .auditor)
    #expect(try await auditor.query("SELECT text FROM notes").map { try $0.text("text") } == ["one"])
    for statement in [
      "INSERT INTO notes (id, text) VALUES (2, 'two')", "UPDATE notes SET text = 'x'", "DELETE FROM notes", "TRUNCATE notes",
      "CREATE TABLE more (id bigint)", "DROP TABLE notes", "SET ROLE ledger_owner",
    ] as [StaticString] {
      await #expect(throws: PostgresError.self, "\(statement)") { try await auditor.query(statement) }
      // Not only because its transactions are read-only by default: it may switch that off.
      let error = await #expect(throws: PostgresError.self) {
        try await auditor.transaction(readOnly: false) { try await $0.query(statement) }
      }
      #expect(error?.isInsufficientPrivilege == true, "\(statement): \(String(describing: error))")
    }
    await auditor.close()
  }

  @Test("The migrator owns nothing until it says so, and services cannot become owners")
  func roles() async throws {
    let cluster = try await TestCluster.shared()
    let database = try await cluster.database("account", migrations: [Migration.notes])
    let migrator = try await database.connect(as: .migrator)
    let refused = await #expect(throws: PostgresError.self) { try await migrator.query("SELECT * FROM account.notes") }
    #expect(refused?.isInsufficientPrivilege == true)
    await migrator.close()
    try await database.withPool { pool in
      for statement in [
        "SET ROLE account_owner", "SET ROLE migrator", "CREATE TABLE more (id bigint)", "CREATE SCHEMA more",
        "CREATE TEMPORARY TABLE t (id bigint)",
        "ALTER TABLE notes DISABLE TRIGGER ALL", "SET session_replication_role = replica", "CREATE TABLE public.more (id bigint)",
      ] as [StaticString] {
        let error = await #expect(throws: PostgresError.self, "\(statement)") { try await pool.query(statement) }
        #expect(error?.isInsufficientPrivilege == true, "\(statement): \(String(describing: error))")
      }
    }
  }
}

extension TestCluster {
  private static let strict = Task { try await separate(otherDatabases: false) }

  /// A cluster whose pg_hba.conf is the one used outside of tests.
  static func separateStrict() async throws -> TestCluster { try await strict.value }
}
