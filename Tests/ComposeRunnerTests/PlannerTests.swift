import Foundation
import Testing

@testable import ComposeRunner

@Suite struct PlannerTests {
  private struct FixedPostgres: PostgresPlanning {
    func pieces(port: Int, databases: [String], identityDirectory: String, environment: [String: String]) throws -> PostgresPieces {
      let process = ProcessPlan(executable: "/bin/true", arguments: [String(port), identityDirectory] + databases)
      return PostgresPieces(
        preparation: [StepPlan(name: "initdb", process: process)], process: process,
        provisioning: [StepPlan(name: "roles", process: process)], probe: process)
    }
  }

  private func plan() throws -> ProjectPlan {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let variables = ["PATH": "/usr/bin:/bin", "HOME": "/home/x", "AWS_SECRET_ACCESS_KEY": "canary", "FLORIN_LEDGER_PORT": "9102"]
    let project = try Project.open(
      file: root + "/deploy/compose.yaml", stateDirectory: "/state", certificatesDirectory: "/certs", variables: variables,
      executablesDirectory: "/bin-dir")
    return try Planner(project: project, variables: variables, postgres: FixedPostgres()).plan()
  }

  @Test("the delivered file becomes five services, database first, each with its own identity and database and the addresses of its peers")
  func plansDelivered() throws {
    let plan = try plan()
    #expect(plan.services.first?.name == "postgres")
    #expect(plan.services.first?.stopSignals == [2, 3])
    let payment = try #require(plan.services.first { $0.name == "payment" })
    let line = " " + payment.process.arguments.joined(separator: " ") + " "
    #expect(payment.process.executable == "/bin-dir/payment")
    for part in [
      " serve ", " --listen 127.0.0.1:7103 ", " --ops-listen 127.0.0.1:7203 ", " --identity-directory /certs/leaves/payment ",
      " --database-port 7432 ", " --database-name payment ", " --peers-ledger 127.0.0.1:9102 ", " --peers-account 127.0.0.1:7101 ",
      " --peers-notification 127.0.0.1:7104 ", "/deploy/policy.yaml ",
    ] { #expect(line.contains(part), "\(part) in\(line)") }
    #expect(payment.process.takesLifeline)
    #expect(payment.probe?.method == .http(port: 7203, path: "/readyz"))
    let migrate = try #require(payment.preparation.first)
    #expect(migrate.process.arguments.starts(with: ["migrate", "--identity-directory", "/certs/leaves/migrator"]))
  }

  @Test("nothing of the user's environment reaches a service but what a program needs to run")
  func cleansEnvironment() throws {
    for service in try plan().services where service.kind == .service {
      #expect(service.process.environment.values.contains("canary") == false)
      #expect(service.process.environment["PATH"] != nil)
    }
  }

  @Test("a plan survives being written and read, and its digest changes with any change")
  func codes() throws {
    let original = try plan()
    var copy = try JSONDecoder().decode(ProjectPlan.self, from: JSONEncoder().encode(original))
    #expect(copy == original)
    #expect(copy.digest == original.digest)
    copy.services[1].restart = .always
    #expect(copy.digest != original.digest)
  }
}
