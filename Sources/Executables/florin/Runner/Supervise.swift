import ArgumentParser
import ComposeRunner
import Foundation

/// `florin supervise`: the process in the background that `florin up` starts. It owns the services.
struct Supervise: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the plan that florin up has written; started by it.", shouldDisplay: false)

  @Option(name: .customLong("state-dir")) var stateDirectory: String
  @Flag(name: .long, help: "End with the client that attaches.") var attached = false

  func run() throws {
    let directory = StateDirectory(path: stateDirectory)
    let plan = try ProjectLifecycle.readPlan(directory)
    let guardian = ComposeOptions.programs.guardian(directory)
    try Supervisor(plan: plan, guardian: guardian, needsOwner: attached, handlesSignals: true).run()
  }
}

/// `florin guard`: outlives a killed supervisor until nothing of it runs.
struct Guard: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "End what a killed supervisor leaves; started by it.", shouldDisplay: false)

  @Option(name: .customLong("state-dir")) var stateDirectory: String
  @Option(name: .customLong("lifeline-fd")) var lifeline: Int32

  func run() throws { Guardian.run(StateDirectory(path: stateDirectory), lifeline: lifeline) }
}

/// `florin cluster`: what the supervisor runs to make the private PostgreSQL cluster.
struct ClusterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "Prepare the private PostgreSQL cluster; started by the supervisor.", shouldDisplay: false)

  enum Verb: String, ExpressibleByArgument, CaseIterable { case prepare, provision }

  @Argument var verb: Verb
  @Option(name: .customLong("state-dir")) var stateDirectory: String
  @Option var port: Int
  @Option(name: .customLong("identity-directory")) var identityDirectory: String
  @Option(name: .customLong("database")) var databases: [String] = []

  func run() throws {
    let cluster = try PrivatePostgres.cluster(
      StateDirectory(path: stateDirectory), port: port, databases: databases, identityDirectory: identityDirectory)
    do {
      switch verb {
      case .prepare: try cluster.initialize()
      case .provision: try cluster.provision()
      }
    } catch { throw Failure(.environment, error.description) }
  }
}
