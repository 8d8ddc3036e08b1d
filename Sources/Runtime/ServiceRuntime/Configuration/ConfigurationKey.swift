/// The configuration keys that every service has, in the order in which they are documented.
enum ConfigurationKey: String, CaseIterable, Sendable {
  case listen
  case opsListen = "ops.listen"
  case identityDirectory = "identity.directory"
  case migrateIdentityDirectory = "migrate.identity.directory"
  case policyFile = "policy.file"
  case databaseHost = "database.host"
  case databasePort = "database.port"
  case databaseName = "database.name"
  case databasePoolSize = "database.pool.size"
  case peersAccount = "peers.account"
  case peersLedger = "peers.ledger"
  case peersPayment = "peers.payment"
  case peersNotification = "peers.notification"
  case otlpEndpoint = "otlp.endpoint"
  case logLevel = "log.level"
  case traceSamplePartsPerMillion = "trace.sample.parts.per.million"
  case lifelineDescriptor = "lifeline.fd"

  static let peers: [(service: String, key: ConfigurationKey)] = [
    ("account", .peersAccount), ("ledger", .peersLedger), ("payment", .peersPayment), ("notification", .peersNotification),
  ]
}

/// The ports of this house, on loopback.
enum DefaultPorts {
  static let services = ["account", "ledger", "payment", "notification"]
  static let postgres = 7432

  /// 7101…7104; any free one for a service that is not of the house.
  static func mesh(_ service: String) -> Int { services.firstIndex(of: service).map { 7101 + $0 } ?? 0 }
  /// 7201…7204, likewise.
  static func ops(_ service: String) -> Int { services.firstIndex(of: service).map { 7201 + $0 } ?? 0 }
}
