import Foundation
import Synchronization
import Testing

@testable import ServiceRuntime

@Suite("Configuration")
struct ConfigurationTests {
  let directory = FileManager.default.temporaryDirectory.appendingPathComponent("florin-configuration-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }

  func definition(_ name: String = "ledger", settings: [ServiceSetting] = []) -> ServiceDefinition {
    ServiceDefinition(name: name, version: "1.2.3", summary: "Test.", migrations: [], settings: settings) { _ in ServiceParts(methods: []) }
  }

  func file(_ text: String) throws -> String {
    let url = directory.appendingPathComponent("ledger.json")
    try Data(text.utf8).write(to: url)
    return url.path
  }

  /// As the command line would be parsed, then loaded.
  func load(_ json: String? = nil, _ flags: [String] = [], settings: [ServiceSetting] = []) async throws -> ServiceConfiguration {
    let definition = definition(settings: settings)
    let arguments = try json.map { ["--config", try file($0)] } ?? []
    let command = try ServiceCommand.$definition.withValue(definition) { try ServiceCommand.parseAsRoot(arguments + flags) }
    let serve = try #require(command as? ServeCommand)
    return try await serve.options.loader(definition).load()
  }

  func failure(_ json: String? = nil, _ flags: [String] = [], settings: [ServiceSetting] = []) async throws -> ServiceFailure {
    do {
      let configuration = try await load(json, flags, settings: settings)
      Issue.record("loaded: \(configuration)")
      throw CancellationError()
    } catch let failure as ServiceFailure {
      return failure
    }
  }

  @Test("Without file and flags everything has the defaults of the house")
  func defaults() async throws {
    let configuration = try await load()
    #expect(configuration.listen == HostPort("127.0.0.1:7102"))
    #expect(configuration.opsListen == HostPort("127.0.0.1:7202"))
    #expect(configuration.identityDirectory == "certs/dev/leaves/ledger")
    #expect(configuration.migrateIdentityDirectory == nil)
    #expect(configuration.policyFile == "deploy/policy.yaml")
    #expect(configuration.database == .init(host: "127.0.0.1", port: 7432, name: "ledger", poolSize: 8))
    #expect(configuration.peers.isEmpty)
    #expect(configuration.otlpEndpoint == nil)
    #expect(configuration.logLevel == .info)
    #expect(configuration.traceSamplePartsPerMillion == 1_000_000)
    #expect(configuration.lifelineDescriptor == nil)
  }

  static let wholeFile = """
    {
      "listen": "127.0.0.1:9101", "ops": {"listen": "[::1]:9201"},
      "identity": {"directory": "/ids/ledger"}, "migrate": {"identity": {"directory": "/ids/migrator"}}, "policy": {"file": "/p.yaml"},
      "database": {"host": "db", "port": 5432, "name": "books", "pool": {"size": 3}},
      "peers": {"payment": "127.0.0.1:9103"}, "otlp": {"endpoint": "http://127.0.0.1:4318"}, "log": {"level": "debug"},
      "trace": {"sample": {"parts": {"per": {"million": 10000}}}}, "lifeline": {"fd": 3}, "batch": {"limit": 500}
    }
    """
  static let setting = ServiceSetting(key: "batch.limit", defaultValue: "100", help: "Postings in one batch.")

  @Test("Every key can stand in the file")
  func everyKeyInFile() async throws {
    let configuration = try await load(Self.wholeFile, settings: [Self.setting])
    #expect(
      configuration
        == ServiceConfiguration(
          listen: HostPort(host: "127.0.0.1", port: 9101), opsListen: HostPort(host: "::1", port: 9201), identityDirectory: "/ids/ledger",
          migrateIdentityDirectory: "/ids/migrator", policyFile: "/p.yaml",
          database: .init(host: "db", port: 5432, name: "books", poolSize: 3), peers: ["payment": HostPort(host: "127.0.0.1", port: 9103)],
          otlpEndpoint: "http://127.0.0.1:4318", logLevel: .debug, traceSamplePartsPerMillion: 10_000, lifelineDescriptor: 3,
          settings: ["batch.limit": "500"]))
  }

  @Test("Keys may be nested or dotted")
  func dotted() async throws {
    #expect(try await load(#"{"database.port": 5433, "database": {"name": "x"}}"#).database.port == 5433)
  }

  @Test("A flag wins over the file")
  func flagsWin() async throws {
    let configuration = try await load(
      Self.wholeFile,
      [
        "--listen", "127.0.0.1:1", "--ops-listen", "127.0.0.1:2", "--identity-directory", "/other", "--policy-file", "/q.yaml",
        "--database-host", "h",
        "--database-port", "3", "--database-name", "n", "--database-pool-size", "4", "--peers-account", "127.0.0.1:5", "--peers-payment",
        "127.0.0.1:6", "--otlp-endpoint", "", "--log-level", "error", "--trace-sample-parts-per-million", "7", "--lifeline-fd", "8",
        "--set",
        "batch.limit=9",
      ], settings: [Self.setting])
    #expect(
      configuration
        == ServiceConfiguration(
          listen: HostPort(host: "127.0.0.1", port: 1), opsListen: HostPort(host: "127.0.0.1", port: 2), identityDirectory: "/other",
          migrateIdentityDirectory: "/other", policyFile: "/q.yaml", database: .init(host: "h", port: 3, name: "n", poolSize: 4),
          peers: ["account": HostPort(host: "127.0.0.1", port: 5), "payment": HostPort(host: "127.0.0.1", port: 6)], otlpEndpoint: nil,
          logLevel: .error, traceSamplePartsPerMillion: 7, lifelineDescriptor: 8, settings: ["batch.limit": "9"]))
  }

  @Test("A misspelt key is refused with file, key and what may be meant")
  func unknownKey() async throws {
    let failure = try await failure(#"{"database": {"prot": 5432}}"#)
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("ledger.json: unknown key 'database.prot'; did you mean 'database.port'?"))
    #expect(
      try await self.failure(#"{"entirely": {"else": 1}}"#).message.contains("unknown key 'entirely.else'; known are listen, ops.listen"))
  }

  @Test("A secret in the file is refused as such", arguments: ["database.password", "vault.token", "apiKey", "client_secret"])
  func secrets(key: String) async throws {
    let failure = try await failure(#"{"\#(key)": "hunter2"}"#)
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("'\(key)' looks like a secret"))
    #expect(!failure.message.contains("hunter2"))
  }

  @Test(
    "A value of the wrong form is refused with file and key",
    arguments: [
      (#"{"listen": "nonsense"}"#, "'listen' must be host:port"), (#"{"listen": 7101}"#, "'listen' must be"),
      (#"{"database": {"port": "5432x"}}"#, "'database.port' must be a whole number from 1 to 65535"),
      (#"{"database": {"port": 0}}"#, "'database.port' must be a whole number"), (#"{"database": {"port": 1.5}}"#, "'database.port'"),
      (#"{"database": {"pool": {"size": 1001}}}"#, "'database.pool.size' must be a whole number from 1 to 1000"),
      (#"{"log": {"level": "loud"}}"#, "'log.level' must be one of trace, debug, info"), (#"{"peers": {"ledger": ""}}"#, "'peers.ledger'"),
      (#"{"listen": ["127.0.0.1:1"]}"#, "'listen' must be text, a number or a boolean"), (#"{"listen": null}"#, "'listen' must be text"),
      (#"{"lifeline": {"fd": -1}}"#, "'lifeline.fd' must be a whole number"), (#"{"listen": true}"#, "'listen' must be"),
    ])
  func wrongForm(json: String, message: String) async throws {
    let failure = try await failure(json)
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("ledger.json"))
    #expect(failure.message.contains(message), "\(failure.message)")
  }

  @Test("A file that is no JSON object is refused", arguments: ["", "{", "[]", "3", "\"x\"", "{\"listen\": }", "listen: x"])
  func noObject(json: String) async throws {
    let failure = try await failure(json)
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("ledger.json"))
  }

  @Test("A file that is not there is refused")
  func missingFile() async throws {
    let failure = try await failure(nil, ["--config", "/nowhere/x.json"])
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("/nowhere/x.json") && failure.message.contains("--config"))
  }

  @Test(
    "Health and metrics are bound to loopback or not at all", arguments: ["0.0.0.0:7202", "10.1.2.3:7202", "[::]:7202", "example.org:7202"])
  func opsOnLoopback(address: String) async throws {
    let failure = try await failure(nil, ["--ops-listen", address])
    #expect(failure.code == .configuration)
    #expect(failure.message.contains("loopback only"))
  }

  @Test("Two listeners on one port are refused")
  func onePort() async throws {
    #expect(try await failure(nil, ["--listen", "127.0.0.1:1", "--ops-listen", "127.0.0.1:1"]).message.contains("each its own port"))
  }

  @Test("A setting that the service does not have is refused")
  func unknownSetting() async throws {
    let failure = try await failure(nil, ["--set", "bach.limit=1"], settings: [Self.setting])
    #expect(failure.code == .usage)
    #expect(failure.message.contains("it has batch.limit"))
  }

  @Test("The environment is not read")
  func environment() async throws {
    setenv("LISTEN", "127.0.0.1:1", 1)
    setenv("DATABASE_PORT", "1", 1)
    setenv("LOG_LEVEL", "trace", 1)
    defer { for name in ["LISTEN", "DATABASE_PORT", "LOG_LEVEL"] { unsetenv(name) } }
    let configuration = try await load()
    #expect(configuration.listen.port == 7102 && configuration.database.port == 7432 && configuration.logLevel == .info)
  }
}
