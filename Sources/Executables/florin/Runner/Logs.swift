import ArgumentParser
import ComposeRunner
import Foundation

/// `florin logs`.
struct Logs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what services have said, oldest first.",
    discussion: """
      Examples
        florin logs                      all services
        florin logs payment --tail 20
        florin logs -f ledger payment
        florin logs supervisor           the runner's own
      """)

  // Not `ProjectOptions`: here -f means --follow, as everywhere.
  @Option(
    name: .long, help: ArgumentHelp("The compose file (default: deploy/compose.yaml or compose.yaml, here or above).", valueName: "file"))
  var file: String?

  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp("Where state, data and logs are (default: .florin in the project).", valueName: "dir"))
  var stateDirectory: String?

  @Argument(help: "Services; none: all.")
  var services: [String] = []

  @Flag(name: .shortAndLong, help: "Go on until Ctrl-C.")
  var follow = false

  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Only this many lines of each service, or all.", valueName: "count|all"))
  var tail: String = "all"

  @Flag(name: .customLong("no-log-prefix"), help: "Without the name of the service.")
  var isBare = false

  func validate() throws {
    guard tail == "all" || Int(tail).map({ $0 >= 0 }) == true else {
      throw ValidationError("--tail must be a number or all, not '\(tail)'")
    }
  }

  func run() throws {
    let directory = try ProjectOptions.directory(file: file, stateDirectory: stateDirectory)
    let known = try knownServices(directory)
    for name in services where !known.contains(name) && name != "supervisor" {
      throw Failure(
        .usage, "there is no log of '\(name)': there are \(known.joined(separator: ", ")) and supervisor", reason: "service_unknown")
    }
    let shown = services.isEmpty ? known : services
    var reader = LogReader(directory, services: shown)
    var printer = LogPrinter(services: shown, isPrefixed: !isBare)
    for line in reader.existing(tail: Int(tail)) { printer.print(line) }
    guard follow else { return }
    let interrupts = Interrupts()
    while interrupts.count == 0 {
      for line in reader.new() { printer.print(line) }
      usleep(100_000)
    }
  }

  private func knownServices(_ directory: StateDirectory) throws -> [String] {
    guard let status = SupervisorStatus.read(directory) else {
      throw Failure(
        .unavailable, "nothing has run in '\(directory.path)': start it with florin up, or name another --state-dir", reason: "never_run")
    }
    return status.services.map(\.name)
  }
}
