import Foundation
import Glibc
import Testing

@testable import ComposeRunner

/// A project in a directory of its own, run by the real `florin`; what it leaves running is found by the directory's name, which
/// stands in the command line of all it starts.
final class TestProject {
  let root: String
  let directory: StateDirectory
  let client: SupervisorClient

  init(_ compose: String) throws {
    root = NSTemporaryDirectory().trimmingCharacters(in: ["/"]).prefixed("/") + "/florin-runner-" + UUID().uuidString.lowercased()
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    try compose.replacingOccurrences(of: "ROOT", with: root).write(toFile: root + "/compose.yaml", atomically: true, encoding: .utf8)
    directory = StateDirectory(path: root + "/state")
    client = SupervisorClient(directory)
  }

  deinit {
    _ = try? ProjectLifecycle.stop(directory, timeout: .zero, force: true)
    try? FileManager.default.removeItem(atPath: root)
  }

  /// `florin` is built beside the tests.
  static var programs: ProjectLifecycle.Programs {
    let environment = ProcessInfo.processInfo.environment
    let program = environment["FLORIN_PROGRAM"] ?? Project.programDirectory + "/florin"
    return ProjectLifecycle.Programs(florin: program, environment: environment)
  }

  func plan(stateDirectory: String? = nil) throws -> ProjectPlan {
    let variables = ProcessInfo.processInfo.environment
    let project = try Project.open(
      file: root + "/compose.yaml", stateDirectory: stateDirectory ?? directory.path, certificatesDirectory: nil, variables: variables,
      executablesDirectory: Project.programDirectory)
    return try Planner(project: project, variables: variables, postgres: NoPostgres()).plan()
  }

  @discardableResult
  func start(attached: Bool = false) throws -> Bool {
    try ProjectLifecycle.start(plan(), programs: Self.programs, attached: attached)
  }

  func up() throws {
    try start()
    try ProjectLifecycle.waitUntilUp(client, timeout: .seconds(60), onChange: { _ in })
  }

  @discardableResult
  func down(force: Bool = false) throws -> Bool { try ProjectLifecycle.stop(directory, timeout: .seconds(60), force: force) }

  func service(_ name: String) throws -> ServiceStatus { try #require(try client.status()?.service(name)) }

  func pid(_ name: String) throws -> Int32 { try #require(try service(name).pid) }

  /// Everything that runs for this project: the supervisor and its guardian, too.
  var running: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { name in
      guard let pid = Int32(name), pid != getpid(), ProcessIdentity.current(pid) != nil,
        let data = FileManager.default.contents(atPath: "/proc/\(name)/cmdline")
      else { return nil }
      let line = String(decoding: data, as: UTF8.self).replacingOccurrences(of: "\0", with: " ")
      return line.contains(root) ? "\(pid): \(line)" : nil
    }
  }

  /// Looks again and again until it is so; false after a minute.
  static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if try condition() { return true }
      usleep(10_000)
    }
    return false
  }
}

/// These projects have no database.
private struct NoPostgres: PostgresPlanning {
  func pieces(port: Int, databases: [String], identityDirectory: String, environment: [String: String]) throws -> PostgresPieces {
    throw RunnerError(.bug, "no PostgreSQL here")
  }
}

extension String {
  fileprivate func prefixed(_ prefix: String) -> String { hasPrefix(prefix) ? self : prefix + self }
}
