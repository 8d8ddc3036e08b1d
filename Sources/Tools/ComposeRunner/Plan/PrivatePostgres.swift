import Glibc
public import PostgresCluster

/// The project's own PostgreSQL cluster, in `postgres/` of the state directory: `florin cluster` makes and provisions it, the
/// supervisor owns the server.
public struct PrivatePostgres: PostgresPlanning {
  private let directory: StateDirectory
  private let florin: String

  /// - Parameter florin: the program that knows the hidden command `cluster`.
  public init(directory: StateDirectory, florin: String) {
    self.directory = directory
    self.florin = florin
  }

  /// The same cluster, for the commands themselves.
  public static func cluster(_ directory: StateDirectory, port: Int, databases: [String], identityDirectory: String) throws(RunnerError)
    -> PostgresCluster
  {
    do {
      return try PostgresCluster(
        directory: directory.path + "/postgres", port: port, serverIdentity: identityDirectory, databases: databases)
    } catch { throw RunnerError(.environment, error.description) }
  }

  public func pieces(port: Int, databases: [String], identityDirectory: String, environment: [String: String]) throws -> PostgresPieces {
    let cluster = try Self.cluster(directory, port: port, databases: databases, identityDirectory: identityDirectory)
    func step(_ name: String, _ verb: String) -> StepPlan {
      let arguments = ["cluster", verb, "--state-dir", directory.path, "--port", String(port), "--identity-directory", identityDirectory]
      let process = ProcessPlan(
        executable: florin, arguments: arguments + databases.flatMap { ["--database", $0] }, environment: environment,
        directory: directory.path)
      return StepPlan(name: name, process: process, timeout: .seconds(300))
    }
    // Asked as somebody who may log in, where he may: PostgreSQL writes every refused question into its log.
    var question = cluster.readinessCommand()
    question.arguments = [
      "--quiet", "--host=\(cluster.socketDirectory)", "--port=\(port)", "--username=postgres", "--dbname=postgres", "--timeout=3",
    ]
    return PostgresPieces(
      preparation: [step("initialize the cluster", "prepare")],
      process: process(cluster.launchCommand(), deathSignal: SIGINT),
      provisioning: [step("provision roles and databases", "provision")],
      probe: process(question, deathSignal: SIGKILL))
  }

  private func process(_ command: LaunchCommand, deathSignal: Int32) -> ProcessPlan {
    let user = command.user.map {
      ProcessUser(name: $0.name, userID: $0.userID, groupID: $0.groupID, groups: $0.supplementaryGroups)
    }
    return ProcessPlan(
      executable: command.executable, arguments: command.arguments, environment: command.environment, user: user, deathSignal: deathSignal)
  }
}
