public import Migrations

/// What makes a service: its name, its tables, and how it starts. Everything around it (arguments, telemetry, identity, pool,
/// mesh, health, shutdown) is `ServiceMain`'s affair.
public struct ServiceDefinition: Sendable {
  /// Lower case: "ledger". Also the last part of its SPIFFE id, its PostgreSQL schema and the prefix of its roles.
  public let name: String
  public let version: String
  /// One sentence for `--help`.
  public let summary: String
  /// What the service adds to `CommonMigrations`; versions start at 100.
  public let migrations: [Migration]
  /// Configuration keys of this service alone, beside those that all have.
  public let settings: [ServiceSetting]
  /// Called once the database is there and up to date. Throwing ends the process.
  public let start: @Sendable (ServiceEnvironment) async throws -> ServiceParts

  public init(
    name: String, version: String, summary: String, migrations: [Migration], settings: [ServiceSetting] = [],
    start: @escaping @Sendable (ServiceEnvironment) async throws -> ServiceParts
  ) {
    self.name = name
    self.version = version
    self.summary = summary
    self.migrations = migrations
    self.settings = settings
    self.start = start
  }
}

/// A configuration key that only one service knows: in the file like any other, on the command line as `--set key=value`.
public struct ServiceSetting: Sendable, Hashable {
  /// Dotted, lower case: "saga.attempts".
  public let key: String
  public let defaultValue: String
  /// One sentence for `--help`.
  public let help: String

  public init(key: String, defaultValue: String, help: String) {
    self.key = key
    self.defaultValue = defaultValue
    self.help = help
  }
}
