import ArgumentParser
import ComposeRunner

/// `florin start`.
struct Start: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Start services that have been stopped or killed.", discussion: "Example\n  florin start ledger")

  @OptionGroup var project: ProjectOptions
  @Argument(help: "Services; none: all.") var services: [String] = []

  func run() throws { try SupervisorClient(project.directory()).start(services) }
}

/// `florin stop`.
struct Stop: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop services; the others go on.", discussion: "Example\n  florin stop ledger")

  @OptionGroup var project: ProjectOptions
  @Argument(help: "Services; none: all.") var services: [String] = []

  func run() throws { try SupervisorClient(project.directory()).stop(services) }
}

/// `florin restart`.
struct Restart: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop services and start them again.", discussion: "Example\n  florin restart ledger payment")

  @OptionGroup var project: ProjectOptions
  @Argument(help: "Services; none: all.") var services: [String] = []

  func run() throws { try SupervisorClient(project.directory()).restart(services) }
}

/// `florin kill`.
struct Kill: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send a signal to services.",
    discussion: """
      A service that is killed in this way stays down until florin start,
      whatever its restart policy. (One that somebody else kills is restarted
      by its policy.)

      Examples
        florin kill payment            SIGKILL
        florin kill payment -s STOP
      """)

  @OptionGroup var project: ProjectOptions
  @Argument(help: "Services.") var services: [String]
  @Option(name: .shortAndLong, help: ArgumentHelp("KILL, TERM, STOP, CONT, HUP, …", valueName: "name")) var signal: String = "KILL"

  func run() throws {
    guard let signal = Signal(signal) else {
      throw Failure(.usage, "'\(self.signal)' is no signal: write KILL, TERM, INT, STOP, CONT, HUP, …", reason: "signal_unknown")
    }
    try SupervisorClient(project.directory()).kill(services, signal: signal)
  }
}
