import FoundationEssentials
import Money

/// What runs, as `state.json` and the control socket tell it. Keys are snake_case in JSON and stable.
public struct SupervisorStatus: Sendable, Hashable, Codable {
  public enum Phase: String, Sendable, Codable { case running, stopping, stopped }

  public var version = 1
  public var phase: Phase
  public var project: String
  public var composeFile: String
  public var certificatesDirectory: String
  public var trustDomain: String
  /// SHA-256 of the plan: tells whether the compose file (or a variable in it) has changed since.
  public var planDigest: String
  /// The kernel's boot id: process ids of another boot mean nothing.
  public var boot: String
  public var supervisor: ProcessIdentity
  public var services: [ServiceStatus]
  /// Every process that is to end with the supervisor.
  public var processes: [TrackedProcess]

  public func service(_ name: String) -> ServiceStatus? { services.first { $0.name == name } }

  /// From `state.json`. Nil if there is none, or it cannot be understood.
  public static func read(_ directory: StateDirectory) -> SupervisorStatus? {
    FileManager.default.contents(atPath: directory.stateFile).flatMap { try? ControlCoding.decoder().decode(Self.self, from: $0) }
  }
}

/// One service, as `florin ps` shows it.
public struct ServiceStatus: Sendable, Hashable, Codable {
  public var name: String
  public var kind: LocalProcess.Kind
  /// The leaf it shows its peers.
  public var identity: String?
  /// created, preparing, running, provisioning, restarting, stopping, exited or failed.
  public var state: String
  /// none, starting, healthy or unhealthy.
  public var health: String
  public var isUp: Bool
  public var hasBeenHealthy: Bool
  public var pid: Int32?
  public var ports: [String: Int]
  /// Automatic restarts since somebody started it.
  public var restarts: Int
  public var uptimeSeconds: Int?
  /// "exit code 1", "SIGKILL".
  public var lastExit: String?
  public var exitCode: Int32?
  /// Why it is not well.
  public var detail: String?
  /// Services it waits for before it starts.
  public var waitsFor: [String]
}

/// A process and how to end it.
public struct TrackedProcess: Sendable, Hashable, Codable {
  public var service: String
  /// process, step, probe or guardian.
  public var role: String
  public var process: ProcessIdentity
  public var stopSignal: Int32
  public var graceSeconds: Int
}

/// A command to the supervisor: one line of JSON.
struct ControlRequest: Sendable, Codable {
  enum Command: String, Sendable, Codable { case status, start, stop, restart, kill, down, attach }

  var command: Command
  /// Empty: all.
  var services: [String] = []
  var signal: String?
  var force = false
}

/// The supervisor's answer: one line of JSON.
struct ControlReply: Sendable, Codable {
  var error: String?
  var status: SupervisorStatus?
}

enum ControlCoding {
  static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }
}
