import Foundation
import Testing

@testable import ComposeRunner

/// The real `florin`, as a user meets it: exit codes, and what it says about bad input. Nothing runs here.
@Suite struct CommandLineTests {
  private struct Outcome {
    var code: Int32
    var output: String
    var errors: String
  }

  private func florin(_ arguments: [String], in directory: String? = nil) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: TestProject.programs.florin)
    process.arguments = arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // Neither stream is longer than a pipe holds.
    let texts = [output, errors].map { String(decoding: $0.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) }
    process.waitUntilExit()
    return Outcome(code: process.terminationStatus, output: texts[0], errors: texts[1])
  }

  private func emptyDirectory() throws -> String {
    let path = FileManager.default.temporaryDirectory.path + "/florin-cli-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  @Test("help and version are no failures, and every command has help with an example")
  func helps() throws {
    #expect(try florin(["--version"]).output.hasPrefix("florin "))
    let root = try florin(["--help"])
    #expect(root.code == 0)
    #expect(root.output.contains("Exit codes"))
    for hidden in ["supervise", "guard", "cluster"] { #expect(!root.output.contains("  \(hidden) ")) }
    for command in [
      "up", "down", "ps", "logs", "start", "stop", "restart", "kill", "certs init", "certs status", "account open", "account get",
      "account list", "account freeze", "account unfreeze", "account close", "fund", "pay", "balance", "statement", "payments", "payment",
      "notifications list", "notifications suppress", "notifications unsuppress", "trace", "verify",
    ] {
      let help = try florin(command.split(separator: " ").map(String.init) + ["--help"])
      #expect(help.code == 0, "\(command)")
      #expect(help.output.contains("florin \(command)"), "\(command)")
      #expect(help.output.contains("Example"), "\(command)")
    }
  }

  @Test(
    "an amount that is none is refused before anything is asked, and the message says what is wrong",
    arguments: [
      ("0", "more than 0"), ("-1", "more than 0"), ("0.00", "more than 0"), ("1.001", "decimals"), ("1e3", "plain decimal"),
      ("NaN", "plain decimal"), ("inf", "plain decimal"), ("", "plain decimal"), ("1,000", "plain decimal"), ("+1", "plain decimal"),
      (".5", "plain decimal"), ("5.", "plain decimal"), ("٣", "plain decimal"), ("92233720368547758.08", "larger"),
      ("99999999999999999999999999", "larger"),
    ])
  func refusesAmounts(amount: String, word: String) throws {
    for command in [["pay", "--from", "ACC1", "--to", "ACC2"], ["fund", "--account", "ACC1"]] {
      let outcome = try florin(command + ["--amount=\(amount)", "--currency", "GBP"])
      #expect(outcome.code == 2, "\(command[0]) \(amount): \(outcome.errors)")
      #expect(outcome.errors.contains(word), "\(command[0]) \(amount): \(outcome.errors)")
      #expect(outcome.output == "")
    }
  }

  @Test(
    "other bad input is refused with exit code 2, too",
    arguments: [
      ["pay", "--from", "ACC1", "--to", "ACC2", "--amount", "1", "--currency", "XXX"],
      ["pay", "--from", "ACC1", "--to", "ACC2", "--amount", "1", "--currency", "gbp"],
      ["pay", "--from", "ACC1", "--to", "ACC1", "--amount", "1", "--currency", "GBP"],
      ["pay", "--from", "ACC 1", "--to", "ACC2", "--amount", "1", "--currency", "GBP"],
      ["pay", "--from", "ACC1", "--amount", "1", "--currency", "GBP"],
      ["pay", "--from", "ACC1", "--to", "ACC2", "--amount", "1", "--currency", "GBP", "--idempotency-key", "once"],
      // Version 1, not 4.
      [
        "pay", "--from", "ACC1", "--to", "ACC2", "--amount", "1", "--currency", "GBP", "--idempotency-key",
        "c232ab00-9414-11ec-b3c8-9f6bdeced846",
      ],
      ["fund", "--account", "ACC1", "--amount", "1", "--currency", "GBP", "--transfer-id", "1d0a4a34-1f5e-4b7e-9f0e-0d3c1b2a4f5e"],
      ["account", "open", "--reference", "x", "--currency", "ZZZ"],
      ["account", "freeze", "ACC1", "--reason", "because I say so"],
      ["balance", "ACC1", "--at", "yesterday"],
      ["payments", "--limit", "0"],
      ["payments", "--state", "lost"],
      ["trace", "PAY-456"],
      ["pay", "--timeout", "0", "--from", "ACC1", "--to", "ACC2", "--amount", "1", "--currency", "GBP"],
      ["balance", "ACC1", "--as", "../account"],
      ["kill", "ledger", "-s", "SIGNOTHING"],
      ["up", "--wait-timeout", "0"],
      ["logs", "--tail", "some"],
      ["fly"],
    ])
  func refusesBadInput(arguments: [String]) throws {
    let outcome = try florin(arguments)
    #expect(outcome.code == 2, "\(outcome.errors)")
    #expect(outcome.errors != "")
  }

  @Test("with --json, an error is an object on standard error")
  func tellsMachines() throws {
    let outcome = try florin(["pay", "--from", "ACC1", "--to", "ACC2", "--amount", "1.001", "--currency", "GBP", "--json"])
    let object = try #require(try JSONSerialization.jsonObject(with: Data(outcome.errors.utf8)) as? [String: [String: Any]])
    #expect(object["error"]?["reason"] as? String == "amount_invalid")
    #expect(object["error"]?["exit_code"] as? Int == 2)
  }

  @Test("where nothing runs, commands to the mesh say how to start it, and down and ps are content")
  func saysNothingRuns() throws {
    let directory = try emptyDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let state = ["--state-dir", directory + "/state"]
    for command in [
      ["balance", "ACC1"], ["verify"], ["trace", "3c9e5f0a-6f2b-5d3e-8a41-0c1d2e3f4a5b"], ["start", "ledger"], ["kill", "ledger"],
    ] {
      let outcome = try florin(command + state)
      #expect(outcome.code == 3, "\(command): \(outcome.errors)")
      #expect(outcome.errors.contains("florin up"), "\(command): \(outcome.errors)")
    }
    #expect(try florin(["down"] + state).code == 0)
    #expect(try florin(["ps"] + state).code == 0)
    #expect(FileManager.default.fileExists(atPath: directory + "/state") == false)
  }

  @Test("without a compose file, or with a bad one, up says what is wrong and where, and starts nothing")
  func refusesComposeFiles() throws {
    let directory = try emptyDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let missing = try florin(["up", "-d"], in: directory)
    #expect(missing.code == 4)
    #expect(missing.errors.contains("compose.yaml"))
    let named = try florin(["up", "-d", "-f", "other.yaml"], in: directory)
    #expect(named.code == 4)
    #expect(named.errors.contains("other.yaml"))
    try "services:\n  a:\n    imagee: x\n    x-florin: {kind: process, executable: sleep}\n"
      .write(toFile: directory + "/compose.yaml", atomically: true, encoding: .utf8)
    let unknown = try florin(["up", "-d"], in: directory)
    #expect(unknown.code == 4)
    #expect(unknown.errors.contains("compose.yaml:3:5:"), "\(unknown.errors)")
    #expect(FileManager.default.fileExists(atPath: directory + "/.florin") == false)
  }

  @Test("certs init makes everyone's certificate, keeps what is sound, and status finds what is not")
  func makesCertificates() throws {
    let directory = try emptyDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let certificates = ["--certs-dir", directory + "/certs"]
    #expect(try florin(["certs", "status"] + certificates).code == 4)
    let made = try florin(["certs", "init", "--operator", "alice"] + certificates)
    #expect(made.code == 0, "\(made.errors)")
    for name in ["account", "ledger", "payment", "notification", "postgres", "migrator", "auditor", "operator/admin", "operator/alice"] {
      #expect(made.output.contains(name), "\(name)")
      let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/certs/leaves/\(name)/key.pem")
      #expect(attributes[.posixPermissions] as? Int == 0o400, "\(name)")
    }
    let again = try florin(["certs", "init", "--operator", "alice", "--json"] + certificates)
    #expect(again.output.contains("\"kept\""))
    #expect(!again.output.contains("\"created\""))
    #expect(try florin(["certs", "status"] + certificates).code == 0)
    #expect(chmod(directory + "/certs/leaves/ledger/key.pem", 0o644) == 0)
    let status = try florin(["certs", "status"] + certificates)
    #expect(status.code == 4)
    #expect(status.errors.contains("ledger"))
  }

  @Test("up, ps, logs, kill and down work together on a small project")
  func runsSmallProject() throws {
    let project = try TestProject(
      """
      services:
        talker:
          restart: on-failure
          x-florin: {kind: process, executable: sh, arguments: [-c, "echo hello from the talker; exec sleep 1000"]}
      """)
    let common = ["--state-dir", project.directory.path, "--file", project.root + "/compose.yaml"]
    let up = try florin(["up", "-d", "--wait", "--certs-dir", project.root + "/certs"] + common)
    #expect(up.code == 0, "\(up.errors)")
    #expect(try florin(["up", "-d", "--wait", "--certs-dir", project.root + "/certs"] + common).code == 0)
    let ps = try florin(["ps", "--json"] + common)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(ps.output.utf8)) as? [String: Any])
    let services = try #require(object["services"] as? [[String: Any]])
    #expect(services.first?["service"] as? String == "talker")
    #expect(services.first?["state"] as? String == "running")
    #expect(
      TestProject.eventually { (try? florin(["logs", "talker"] + common).output)?.contains("talker | hello from the talker") == true })
    #expect(try florin(["logs", "nobody"] + common).code == 2)
    #expect(try florin(["kill", "talker"] + common).code == 0)
    #expect(try TestProject.eventually { try project.service("talker").state == "exited" })
    #expect(try florin(["start", "talker"] + common).code == 0)
    #expect(try TestProject.eventually { try project.service("talker").isUp })
    #expect(try florin(["down"] + common).code == 0)
    #expect(project.running == [])
  }
}
