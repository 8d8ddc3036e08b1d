public import Logging
public import MeshProtocol
public import Money
public import Postgres

/// What a service is given when it starts.
public struct ServiceEnvironment: Sendable {
  public let name: String
  public let configuration: ServiceConfiguration
  /// The service's own database, as its service role.
  public let pool: PostgresPool
  public let logger: Logger
  public let clock: any WallClock
  /// Runs work that outlives its caller.
  public let supervisor: Supervisor
  private let channels: @Sendable (String) throws -> any RPCChannel

  /// - Parameter channels: the way to a peer by its name; throws for a peer that is not configured.
  public init(
    name: String, configuration: ServiceConfiguration, pool: PostgresPool, logger: Logger, clock: any WallClock,
    supervisor: Supervisor, channels: @escaping @Sendable (String) throws -> any RPCChannel
  ) {
    self.name = name
    self.configuration = configuration
    self.pool = pool
    self.logger = logger
    self.clock = clock
    self.supervisor = supervisor
    self.channels = channels
  }

  /// The way to another service.
  /// - Throws: `ServiceFailure` (configuration) if `peers.<service>` is not set.
  public func channel(to service: String) throws -> any RPCChannel { try channels(service) }
}
