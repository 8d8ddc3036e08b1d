import Foundation
import Synchronization
import Testing

@testable import ServiceRuntime

@Suite("Command line")
struct ServiceMainTests {
  final class Output: Sendable {
    private let texts = Mutex<[Int32: String]>([:])
    func write(_ descriptor: Int32, _ text: String) { texts.withLock { $0[descriptor, default: ""] += text } }
    var standard: String { texts.withLock { $0[1] ?? "" } }
    var error: String { texts.withLock { $0[2] ?? "" } }
  }

  let output = Output()
  let definition = ServiceDefinition(
    name: "ledger", version: "1.2.3", summary: "Books double entries.", migrations: [],
    settings: [ServiceSetting(key: "batch.limit", defaultValue: "100", help: "Postings in one batch.")]
  ) { _ in ServiceParts(methods: []) }

  func run(_ arguments: String...) async -> Int32 {
    let output = output
    return await ServiceMain.run(definition, arguments: arguments) { output.write($0, $1) }
  }

  @Test("--help shows commands and exit codes on standard output, and succeeds")
  func help() async {
    #expect(await run("--help") == 0)
    for text in ["Books double entries.", "USAGE: ledger", "serve (default)", "migrate", "Exit codes: 0 ok"] {
      #expect(output.standard.contains(text), "\(text)")
    }
    #expect(output.error.isEmpty)
  }

  @Test("serve --help shows every flag and the service's settings")
  func serveHelp() async {
    #expect(await run("serve", "--help") == 0)
    for key in ConfigurationKey.allCases where key != .migrateIdentityDirectory {
      #expect(output.standard.contains("--" + key.flag), "\(key)")
    }
    #expect(output.standard.contains("batch.limit=100  Postings in one batch."))
  }

  @Test("--version names service and version")
  func version() async {
    #expect(await run("--version") == 0)
    #expect(output.standard == "ledger 1.2.3\n")
  }

  @Test(
    "Bad arguments are told on standard error with exit code 2",
    arguments: [
      ["--lisen", "x"], ["serve", "extra"], ["--listen"], ["--listen", "nonsense"], ["--database-port", "x"], ["--database-port", "65536"],
      ["--log-level", "loud"], ["--set", "x"], ["--set", "=x"], ["destroy"], ["--lifeline-fd", "-1"], ["--peers-ledger", "7102"],
    ])
  func usage(arguments: [String]) async {
    let output = output
    #expect(await ServiceMain.run(definition, arguments: arguments) { output.write($0, $1) } == 2)
    #expect(output.error.contains("Usage: ledger") || output.error.contains("--help"))
    #expect(output.standard.isEmpty)
  }

  @Test("A refused configuration is told in one line with exit code 4")
  func configuration() async {
    #expect(await run("--config", "/nowhere.json") == 4)
    #expect(output.error == "ledger: the configuration file /nowhere.json can't be read; check --config\n")
  }

  @Test("Missing credentials are told with exit code 4, by serve and by migrate", arguments: ["serve", "migrate"])
  func credentials(command: String) async {
    #expect(await run(command, "--identity-directory", "/nowhere/identity") == 4)
    #expect(output.error.contains("/nowhere/identity"))
    #expect(output.error.contains("florin certs init"))
  }
}
