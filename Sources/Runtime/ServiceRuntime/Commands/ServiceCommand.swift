internal import ArgumentParser
internal import Configuration
internal import Logging

/// The command line of a service's executable: `NAME [serve]`, `NAME migrate`.
///
/// ArgumentParser wants commands to be types, while a service is a value: the definition that is being parsed for is bound
/// to the task.
struct ServiceCommand: ParsableCommand {
  @TaskLocal static var definition: ServiceDefinition?

  static var configuration: CommandConfiguration {
    let name = definition?.name ?? "service"
    return CommandConfiguration(
      commandName: name, abstract: definition?.summary ?? "",
      discussion: """
        Exit codes: 0 ok; 1 failed; 2 bad arguments; 3 something needed can't be reached; 4 configuration, credentials or \
        environment refused; 70 a bug. No secret is ever read from arguments, configuration or environment.
        """, version: "\(name) \(definition?.version ?? "0")", subcommands: [ServeCommand.self, MigrateCommand.self],
      defaultSubcommand: ServeCommand.self)
  }
}

struct ServeCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "serve", abstract: "Serve the mesh until SIGTERM or SIGINT (default).", discussion: SettingsHelp.text)
  }

  @OptionGroup var options: ServiceOptions
}

struct MigrateCommand: ParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: "migrate", abstract: "Bring the service's database up to date, and end.",
      discussion: """
        Logs in as the role 'migrator' with the identity of --identity-directory (or of the key migrate.identity.directory). \
        Each migration is one transaction; an applied one that has changed since is refused.
        """)
  }

  @OptionGroup var options: ServiceOptions
}

/// What a service adds to `--help`.
private enum SettingsHelp {
  static var text: String {
    let settings = ServiceCommand.definition?.settings ?? []
    guard !settings.isEmpty else { return "" }
    let lines = settings.map { "  \($0.key)=\($0.defaultValue)  \($0.help)" }
    return "Settings of this service (in the file, or as --set KEY=VALUE):\n" + lines.joined(separator: "\n")
  }
}

/// Flags, which override the file's values of the same key.
struct ServiceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The JSON configuration file.", valueName: "file"))
  var config: String?
  @Option(help: ArgumentHelp("Where the mesh listens.", valueName: "host:port"), transform: hostPort)
  var listen: String?
  @Option(help: ArgumentHelp("Where health and metrics are served; loopback only.", valueName: "host:port"), transform: hostPort)
  var opsListen: String?
  @Option(help: ArgumentHelp("Holds cert.pem, key.pem and bundle.pem.", valueName: "directory"))
  var identityDirectory: String?
  @Option(help: ArgumentHelp("Who may call which method.", valueName: "file"))
  var policyFile: String?
  @Option(help: ArgumentHelp("PostgreSQL's host.", valueName: "host"))
  var databaseHost: String?
  @Option(help: ArgumentHelp("PostgreSQL's port.", valueName: "port"), transform: { try whole($0, 1...65_535) })
  var databasePort: Int?
  @Option(help: ArgumentHelp("The service's database.", valueName: "name"))
  var databaseName: String?
  @Option(help: ArgumentHelp("Connections at most.", valueName: "count"), transform: { try whole($0, 1...1000) })
  var databasePoolSize: Int?
  @Option(help: ArgumentHelp("Where the account service is.", valueName: "host:port"), transform: hostPort)
  var peersAccount: String?
  @Option(help: ArgumentHelp("Where the ledger is.", valueName: "host:port"), transform: hostPort)
  var peersLedger: String?
  @Option(help: ArgumentHelp("Where the payment service is.", valueName: "host:port"), transform: hostPort)
  var peersPayment: String?
  @Option(help: ArgumentHelp("Where the notification service is.", valueName: "host:port"), transform: hostPort)
  var peersNotification: String?
  @Option(help: ArgumentHelp("The OpenTelemetry collector's base URL; empty: off.", valueName: "url"))
  var otlpEndpoint: String?
  @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"), transform: level)
  var logLevel: String?
  @Option(
    help: ArgumentHelp("How many of a million new traces are recorded.", valueName: "count"), transform: { try whole($0, 0...1_000_000) })
  var traceSamplePartsPerMillion: Int?
  @Option(
    help: ArgumentHelp("End when this descriptor reaches its end.", valueName: "descriptor"), transform: { try whole($0, 0...1_000_000) })
  var lifelineFd: Int?
  @Option(name: .customLong("set"), help: ArgumentHelp("A setting of this service alone.", valueName: "key=value"), transform: assignment)
  var settings: [Assignment] = []

  struct Assignment: Sendable {
    var key: String
    var value: String
  }

  func loader(_ definition: ServiceDefinition) -> ConfigurationLoader {
    var loader = ConfigurationLoader(definition: definition, file: config)
    let texts: [(ConfigurationKey, String?)] = [
      (.listen, listen), (.opsListen, opsListen), (.identityDirectory, identityDirectory), (.policyFile, policyFile),
      (.databaseHost, databaseHost), (.databaseName, databaseName), (.peersAccount, peersAccount), (.peersLedger, peersLedger),
      (.peersPayment, peersPayment), (.peersNotification, peersNotification), (.otlpEndpoint, otlpEndpoint), (.logLevel, logLevel),
    ]
    for (key, text) in texts { loader.flags[key] = text.map { ConfigValue(.string($0), isSecret: false) } }
    let numbers: [(ConfigurationKey, Int?)] = [
      (.databasePort, databasePort), (.databasePoolSize, databasePoolSize), (.traceSamplePartsPerMillion, traceSamplePartsPerMillion),
      (.lifelineDescriptor, lifelineFd),
    ]
    for (key, number) in numbers { loader.flags[key] = number.map { ConfigValue(.int($0), isSecret: false) } }
    // The migrator's own key must not win over a flag that says otherwise.
    loader.flags[.migrateIdentityDirectory] = identityDirectory.map { ConfigValue(.string($0), isSecret: false) }
    for setting in settings { loader.settings[setting.key] = setting.value }
    return loader
  }
}

@Sendable private func hostPort(_ text: String) throws -> String {
  guard HostPort(text) != nil else { throw ValidationError("'\(text)' is not host:port, such as 127.0.0.1:7101") }
  return text
}

@Sendable private func whole(_ text: String, _ range: ClosedRange<Int>) throws -> Int {
  guard let value = Int(text), range.contains(value) else {
    throw ValidationError("'\(text)' is not a whole number from \(range.lowerBound) to \(range.upperBound)")
  }
  return value
}

@Sendable private func level(_ text: String) throws -> String {
  guard Logger.Level(rawValue: text) != nil else {
    throw ValidationError("'\(text)' is not one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
  }
  return text
}

@Sendable private func assignment(_ text: String) throws -> ServiceOptions.Assignment {
  guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { throw ValidationError("'\(text)' is not KEY=VALUE") }
  return ServiceOptions.Assignment(key: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
}
