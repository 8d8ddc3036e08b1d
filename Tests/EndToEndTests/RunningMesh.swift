import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif
#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// A mesh of real processes of its own: private PostgreSQL, four services, started by `florin up` and stopped by `florin down`.
struct RunningMesh: Sendable {
  let directory: URL
  let environment: [String: String]

  var stateDirectory: String { directory.appending(path: "state").path }
  var certificates: String { directory.appending(path: "certs").path }

  /// Where deploy/ is: the root of the checkout, seen from this file.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "florin-e2e-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let names = ["ACCOUNT", "LEDGER", "PAYMENT", "NOTIFICATION"]
    let ports = try Ports.free(9)
    var environment: [String: String] = ["FLORIN_POSTGRES_PORT": String(ports[8])]
    for (index, name) in names.enumerated() {
      environment["FLORIN_\(name)_PORT"] = String(ports[index])
      environment["FLORIN_\(name)_OPS_PORT"] = String(ports[index + 4])
    }
    self.environment = environment
  }

  /// A mesh of its own directory that wants the ports of another.
  init(sharingPortsOf other: RunningMesh) throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "florin-e2e-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    environment = other.environment
  }

  /// The Prometheus text of a service's ops port ("PAYMENT").
  func metrics(_ service: String) async throws -> String {
    guard let port = environment["FLORIN_\(service)_OPS_PORT"], let url = URL(string: "http://127.0.0.1:\(port)/metrics") else {
      throw MeshFailure("no ops port for \(service)")
    }
    return String(decoding: try await URLSession.shared.data(from: url).0, as: UTF8.self)
  }

  /// Brings a mesh up, gives it to the body, and takes it down whatever happens.
  static func with<R>(_ body: (RunningMesh) async throws -> R) async throws -> R {
    let mesh = try RunningMesh()
    let up = try await mesh.run(["up", "-d", "--wait", "--wait-timeout", "180"])
    guard up.status == 0 else {
      let logs = try await mesh.run(["logs", "--tail", "40"])
      _ = try await mesh.run(["down"])
      throw MeshFailure("florin up: status \(up.status)\n\(up.standardError)\n\(logs.standardOutput)\(logs.standardError)")
    }
    do {
      let result = try await body(mesh)
      try await mesh.takeDown()
      return result
    } catch {
      let logs = try await mesh.run(["logs", "--tail", "25"])
      Issue.record("what the services said last:\n\(logs.standardOutput)")
      try await mesh.takeDown()
      throw error
    }
  }

  func takeDown() async throws {
    let down = try await run(["down", "-v"])
    #expect(down.status == 0, "florin down: \(down.standardError)")
    try? FileManager.default.removeItem(at: directory)
  }

  /// `florin` with this mesh's state directory.
  func run(_ arguments: [String]) async throws -> CommandRun {
    try await CommandRun.florin(
      arguments + ["--state-dir", stateDirectory] + (arguments.first == "up" ? ["--certs-dir", certificates] : []),
      environment: environment, directory: Self.root)
  }

  /// kill -9, of the process itself: no chance to say goodbye.
  func killHard(_ service: String) async throws {
    let services = try await json(["ps"])["services"]?.array ?? []
    guard let pid = services.first(where: { $0["service"]?.string == service })?["pid"]?.int else {
      throw MeshFailure("florin ps knows no process of \(service)")
    }
    guard kill(pid_t(pid), SIGKILL) == 0 else { throw MeshFailure("kill -9 \(pid) (\(service)): errno \(errno)") }
  }

  /// Waits until `florin ps` shows that the service was restarted, and every service running and healthy.
  func waitUntilHealthy(restarted victim: String, within limit: Duration) async throws {
    let deadline = ContinuousClock.now + limit
    var seen = ""
    while ContinuousClock.now < deadline {
      let run = try await run(["ps", "--json"])
      seen = run.standardOutput + run.standardError
      let services = run.json?["services"]?.array ?? []
      let isRestarted = services.contains { $0["service"]?.string == victim && ($0["restarts"]?.int ?? 0) > 0 }
      if services.count == 5, isRestarted, services.allSatisfy({ $0["health"]?.string == "healthy" }) { return }
      try await Task.sleep(for: .milliseconds(250))
    }
    throw MeshFailure("not every service is healthy after \(limit): \(seen)")
  }

  /// A command that must succeed and answer JSON.
  func json(_ arguments: [String]) async throws -> JSONValue {
    let run = try await run(arguments + ["--json"])
    guard run.status == 0, let json = run.json else {
      throw MeshFailure("florin \(arguments.joined(separator: " ")): status \(run.status)\n\(run.standardOutput)\(run.standardError)")
    }
    return json
  }

  func openAccount(_ reference: String, currency: String = "GBP") async throws -> String {
    let account = try await json(["account", "open", "--reference", reference, "--currency", currency])
    return try #require(account["account_id"]?.string)
  }

  func fund(_ account: String, _ amount: String, currency: String = "GBP") async throws {
    _ = try await json(["fund", "--account", account, "--amount", amount, "--currency", currency])
  }

  /// "100.00": posted, as the ledger derives it.
  func balance(_ account: String) async throws -> String? {
    try await json(["balance", account])["posted"]?.string
  }

  func pay(_ from: String, _ to: String, _ amount: String, key: String? = nil, currency: String = "GBP") async throws -> CommandRun {
    try await run(
      ["pay", "--from", from, "--to", to, "--amount", amount, "--currency", currency]
        + (key.map { ["--idempotency-key", $0] } ?? []) + ["--json"])
  }
}

/// What went wrong outside of the assertion itself.
struct MeshFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
