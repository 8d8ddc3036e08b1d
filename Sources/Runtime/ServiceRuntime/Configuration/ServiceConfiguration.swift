public import Logging

/// How one process of a service is to run: the configuration file, overridden by flags. Never a secret, never an environment variable.
public struct ServiceConfiguration: Sendable, Hashable {
  /// Where PostgreSQL is. Who we are follows from the certificate.
  public struct Database: Sendable, Hashable {
    public var host: String
    public var port: Int
    public var name: String
    /// Connections at most.
    public var poolSize: Int

    public init(host: String, port: Int, name: String, poolSize: Int = 8) {
      self.host = host
      self.port = port
      self.name = name
      self.poolSize = poolSize
    }
  }

  /// `listen`: the mesh.
  public var listen: HostPort
  /// `ops.listen`: health and metrics over plain HTTP; loopback only.
  public var opsListen: HostPort
  /// `identity.directory`: holds cert.pem, key.pem and bundle.pem.
  public var identityDirectory: String
  /// `migrate.identity.directory`: the migrator's identity; nil: `identity.directory` is taken.
  public var migrateIdentityDirectory: String?
  /// `policy.file`: who may call which method.
  public var policyFile: String
  /// `database.*`.
  public var database: Database
  /// `peers.<service>`: where the other services are.
  public var peers: [String: HostPort]
  /// `otlp.endpoint`: the collector's base URL, "http://127.0.0.1:4318"; nil: spans are not exported.
  public var otlpEndpoint: String?
  /// `log.level`.
  public var logLevel: Logger.Level
  /// `trace.sample.parts.per.million`: how many of a million new traces are recorded.
  public var traceSamplePartsPerMillion: Int
  /// `lifeline.fd`: the process ends when this descriptor reaches its end.
  public var lifelineDescriptor: Int32?
  /// The service's own settings, all of them, by key.
  public var settings: [String: String]

  public init(
    listen: HostPort, opsListen: HostPort, identityDirectory: String, migrateIdentityDirectory: String? = nil, policyFile: String,
    database: Database, peers: [String: HostPort] = [:], otlpEndpoint: String? = nil, logLevel: Logger.Level = .info,
    traceSamplePartsPerMillion: Int = 1_000_000, lifelineDescriptor: Int32? = nil, settings: [String: String] = [:]
  ) {
    self.listen = listen
    self.opsListen = opsListen
    self.identityDirectory = identityDirectory
    self.migrateIdentityDirectory = migrateIdentityDirectory
    self.policyFile = policyFile
    self.database = database
    self.peers = peers
    self.otlpEndpoint = otlpEndpoint
    self.logLevel = logLevel
    self.traceSamplePartsPerMillion = traceSamplePartsPerMillion
    self.lifelineDescriptor = lifelineDescriptor
    self.settings = settings
  }
}
