internal import Logging
internal import MeshTLS
internal import Migrations
internal import Outbox
internal import Postgres
internal import Telemetry

/// `NAME migrate`: brings the service's schema up to date as the role `migrator`.
struct MigrationRun {
  let definition: ServiceDefinition
  let configuration: ServiceConfiguration

  init(_ definition: ServiceDefinition, _ configuration: ServiceConfiguration) {
    self.definition = definition
    self.configuration = configuration
  }

  /// - Parameter say: gets a line per applied migration, and one at the end.
  /// - Throws: what `ServiceFailure(describing:)` turns into an exit code.
  func run(_ say: @Sendable (String) -> Void) async throws {
    let directory = configuration.migrateIdentityDirectory ?? configuration.identityDirectory
    try IdentityFiles(directory: directory).check()
    let name = definition.name
    let level = max(configuration.logLevel, .warning)
    let logger = Logger(label: name) { JSONLogHandler(label: $0, service: name, level: level) }
    var settings = PostgresConfiguration(
      host: configuration.database.host, port: configuration.database.port, database: configuration.database.name, user: "migrator",
      identityDirectory: directory, applicationName: "florin-\(name)-migrate", poolSize: 1)
    // A migration may rewrite a large table.
    settings.statementTimeout = .seconds(3600)
    let connection = try await PostgresConnection.connect(settings, logger: logger)
    do {
      let report = try await Migrator.migrate(
        connection, schema: name, owner: name + "_owner", migrations: definition.allMigrations, logger: logger)
      for step in report.applied { say("\(name): applied \(step.version) \(step.name)") }
      say("\(name): \(report.applied.count) applied, \(report.alreadyApplied) were applied before")
      await connection.close()
    } catch {
      await connection.close()
      throw error
    }
  }
}

extension ServiceDefinition {
  /// What every service has, then its own.
  var allMigrations: [Migration] { CommonMigrations.all + migrations }
}
