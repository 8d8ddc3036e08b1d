/// A compose file as Florin reads it: the strict subset of the Compose specification that means the same to `florin up` as to a
/// container engine, and what `x-florin` adds to run it as local processes.
public struct ComposeFile: Sendable, Hashable {
  public var name: String
  public var path: String
  public var settings: ProjectSettings
  /// In the order of the file.
  public var services: [ComposeService]
  /// Variables that the file refers to, without a default, and that are not set.
  public var unsetVariables: [String]
}

/// Top-level `x-florin`.
public struct ProjectSettings: Sendable, Hashable {
  /// Of every SPIFFE id.
  public var trustDomain = "florin.local"
  /// The authorization policy, relative to the compose file; nil: none is handed to the services.
  public var policy: String?
  /// Databases of the private PostgreSQL cluster.
  public var databases: [String] = []
}

/// One service of a compose file.
public struct ComposeService: Sendable, Hashable {
  public var name: String
  public var position: SourcePosition
  public var dependencies: [Dependency] = []
  public var healthCheck = HealthCheck()
  public var restart = RestartPolicy.no
  public var stopGracePeriod = Duration.seconds(10)
  /// Nil: SIGTERM (PostgreSQL: SIGINT, its fast shutdown).
  public var stopSignal: Int32?
  public var environment: [String: String] = [:]
  /// Empty: always part of the project.
  public var profiles: [String] = []
  public var local: LocalProcess
}

/// `depends_on`.
public struct Dependency: Sendable, Hashable, Codable {
  public enum Condition: String, Sendable, Hashable, Codable, CaseIterable {
    case started = "service_started"
    case healthy = "service_healthy"
    case completed = "service_completed_successfully"
  }

  public var service: String
  public var condition: Condition

  public init(service: String, condition: Condition) {
    self.service = service
    self.condition = condition
  }
}

/// `healthcheck`. Its defaults are the specification's, except for `test`: without one, a local process is asked what it is made
/// to be asked (the ops port of a service, the socket of PostgreSQL), as a container engine asks what its image says.
public struct HealthCheck: Sendable, Hashable {
  public enum Test: Sendable, Hashable {
    case builtIn
    case disabled
    case command([String])
    case shell(String)
  }

  public var test = Test.builtIn
  public var interval = Duration.seconds(30)
  public var timeout = Duration.seconds(30)
  public var startPeriod = Duration.zero
  public var retries = 3
}

/// `restart`.
public enum RestartPolicy: Sendable, Hashable, Codable {
  case no
  case always
  /// Nil: without a limit.
  case onFailure(limit: Int?)
  case unlessStopped

  /// Nil unless it is one of the specification's words.
  public init?(_ text: String) {
    switch text {
    case "no": self = .no
    case "always": self = .always
    case "unless-stopped": self = .unlessStopped
    case "on-failure": self = .onFailure(limit: nil)
    default:
      guard text.hasPrefix("on-failure:"), let limit = Int(text.dropFirst(11)), (1...1_000_000).contains(limit) else { return nil }
      self = .onFailure(limit: limit)
    }
  }
}

/// A service's `x-florin`: the local process that stands for the container.
public struct LocalProcess: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// The project's private PostgreSQL cluster.
    case postgres
    /// One of Florin's services: an executable beside `florin` that takes the standard flags.
    case service
    /// Any other program.
    case process
  }

  public var kind: Kind
  public var executable = ""
  public var arguments: [String] = []
  /// A leaf of the authority.
  public var identity: String?
  /// The database the service owns.
  public var database: String?
  /// The identity its migrations run as; nil: it has none.
  public var migrator: String?
  /// Services it calls.
  public var peers: [String] = []
  /// By name: mesh, ops, postgres.
  public var ports: [String: Int] = [:]
}
