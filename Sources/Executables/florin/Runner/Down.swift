import ArgumentParser
import ComposeRunner
import PostgresCluster

/// `florin down`.
struct Down: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop everything, in order, and leave nothing running.",
    discussion: """
      Data stays. Also ends what is left of a runner that was killed. Nothing
      to stop is no error.

      Examples
        florin down
        florin down --volumes      forget the databases, too
      """)

  @OptionGroup var project: ProjectOptions

  @Option(name: .shortAndLong, help: ArgumentHelp("Kill what has not stopped after this.", valueName: "seconds"))
  var timeout: Int = 60

  @Flag(name: .long, help: "Kill everything at once.")
  var force = false

  @Flag(name: .shortAndLong, help: "Remove the databases of the project as well.")
  var volumes = false

  func run() throws {
    let directory = try project.directory()
    let status = SupervisorStatus.read(directory)
    let didRun = try ProjectLifecycle.stop(directory, timeout: .seconds(timeout), force: force) { service in
      if ["stopping", "exited", "failed"].contains(service.state) { Console.progress("\(service.name): \(service.state)") }
    }
    Console.progress(didRun ? "everything is stopped" : "nothing was running in \(directory.path)")
    guard volumes else { return }
    guard let postgres = status?.services.first(where: { $0.kind == .postgres }), let port = postgres.ports["postgres"] else {
      Console.progress("there is no database to remove")
      return
    }
    let cluster = try PrivatePostgres.cluster(directory, port: port, databases: [], identityDirectory: "")
    do { try cluster.destroy() } catch { throw Failure(.environment, error.description) }
    Console.progress("the databases in \(cluster.directory) are removed")
  }
}
