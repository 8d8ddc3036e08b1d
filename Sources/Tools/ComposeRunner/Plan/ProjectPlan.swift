import Digest
import FoundationEssentials

/// Everything the supervisor needs to know, resolved: no variables, no relative paths, no defaults left to fill in.
public struct ProjectPlan: Sendable, Hashable, Codable {
  public var project: String
  public var composeFile: String
  public var stateDirectory: String
  public var certificatesDirectory: String
  public var trustDomain: String
  /// Dependencies first.
  public var services: [ServicePlan]

  public init(
    project: String, composeFile: String, stateDirectory: String, certificatesDirectory: String, trustDomain: String,
    services: [ServicePlan]
  ) {
    self.project = project
    self.composeFile = composeFile
    self.stateDirectory = stateDirectory
    self.certificatesDirectory = certificatesDirectory
    self.trustDomain = trustDomain
    self.services = services
  }

  /// SHA-256 of its canonical JSON, in hexadecimal.
  public var digest: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    // Strings, numbers and lists can always be encoded; an empty digest would at worst say "changed".
    return hexadecimal(SHA256.hash((try? encoder.encode(self)) ?? Data()))
  }
}

/// How one service is prepared, run, watched and stopped.
public struct ServicePlan: Sendable, Hashable, Codable {
  public var name: String
  public var kind: LocalProcess.Kind
  /// The leaf it shows its peers; nil: none.
  public var identity: String?
  public var dependencies: [Dependency]
  /// Run one after the other before the first start, once for each supervisor.
  public var preparation: [StepPlan]
  public var process: ProcessPlan
  /// Run one after the other when the first probe has succeeded, before the service counts as healthy.
  public var provisioning: [StepPlan]
  public var probe: ProbePlan?
  public var restart: RestartPolicy
  /// The first is sent to stop it; each following one when the one before did not do. SIGKILL comes last by itself.
  public var stopSignals: [Int32]
  public var stopGracePeriod: Duration
  public var ports: [String: Int]

  public init(
    name: String, kind: LocalProcess.Kind = .process, identity: String? = nil, dependencies: [Dependency] = [],
    preparation: [StepPlan] = [],
    process: ProcessPlan, provisioning: [StepPlan] = [], probe: ProbePlan? = nil, restart: RestartPolicy = .no,
    stopSignals: [Int32] = [15], stopGracePeriod: Duration = .seconds(10), ports: [String: Int] = [:]
  ) {
    self.name = name
    self.kind = kind
    self.identity = identity
    self.dependencies = dependencies
    self.preparation = preparation
    self.process = process
    self.provisioning = provisioning
    self.probe = probe
    self.restart = restart
    self.stopSignals = stopSignals
    self.stopGracePeriod = stopGracePeriod
    self.ports = ports
  }
}

/// One thing to be done before or after a start.
public struct StepPlan: Sendable, Hashable, Codable {
  /// For people: "migrate".
  public var name: String
  public var process: ProcessPlan
  public var timeout: Duration

  public init(name: String, process: ProcessPlan, timeout: Duration = .seconds(120)) {
    self.name = name
    self.process = process
    self.timeout = timeout
  }
}

/// A process to be started.
public struct ProcessPlan: Sendable, Hashable, Codable {
  /// An absolute path.
  public var executable: String
  public var arguments: [String]
  /// The whole environment: nothing is inherited.
  public var environment: [String: String]
  public var directory: String
  /// Nil: as who runs the supervisor.
  public var user: ProcessUser?
  /// True: it gets the lifeline as descriptor 3, and `--lifeline-fd 3` as its last arguments.
  public var takesLifeline: Bool
  /// Sent by the kernel when the supervisor dies.
  public var deathSignal: Int32

  public init(
    executable: String, arguments: [String] = [], environment: [String: String] = [:], directory: String = "/",
    user: ProcessUser? = nil, takesLifeline: Bool = false, deathSignal: Int32 = 15
  ) {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
    self.directory = directory
    self.user = user
    self.takesLifeline = takesLifeline
    self.deathSignal = deathSignal
  }
}

/// Whom a process runs as.
public struct ProcessUser: Sendable, Hashable, Codable {
  public var name: String
  public var userID: UInt32
  public var groupID: UInt32
  public var groups: [UInt32]

  public init(name: String, userID: UInt32, groupID: UInt32, groups: [UInt32]) {
    self.name = name
    self.userID = userID
    self.groupID = groupID
    self.groups = groups
  }
}

/// How it is found out whether a service is well.
public struct ProbePlan: Sendable, Hashable, Codable {
  public enum Method: Sendable, Hashable, Codable {
    /// `GET path` on 127.0.0.1 answers 200.
    case http(port: Int, path: String)
    /// The process exits with 0.
    case command(ProcessPlan)
  }

  public var method: Method
  public var interval: Duration
  public var timeout: Duration
  public var startPeriod: Duration
  public var retries: Int

  public init(method: Method, interval: Duration, timeout: Duration, startPeriod: Duration, retries: Int) {
    self.method = method
    self.interval = interval
    self.timeout = timeout
    self.startPeriod = startPeriod
    self.retries = retries
  }

  /// While a service starts it is asked more often, so that nobody waits for the interval.
  var startInterval: Duration { min(interval, .milliseconds(200)) }
}
