import Glibc

/// Turns a compose file into a plan: `x-florin` says what runs, this says with which arguments.
public struct Planner: Sendable {
  private let project: Project
  private let variables: [String: String]
  private let postgres: any PostgresPlanning

  /// - Parameters:
  ///   - variables: the environment of the user; few of it are handed on.
  ///   - postgres: how the private cluster is made and run.
  public init(project: Project, variables: [String: String], postgres: any PostgresPlanning) {
    self.project = project
    self.variables = variables
    self.postgres = postgres
  }

  /// - Throws: `ComposeError` for references that do not fit, `RunnerError` for what the machine lacks.
  public func plan() throws -> ProjectPlan {
    let services = try DependencyOrder.sorted(project.compose.services)
    return ProjectPlan(
      project: project.compose.name, composeFile: project.composePath, stateDirectory: project.directory.path,
      certificatesDirectory: project.certificatesDirectory, trustDomain: project.compose.settings.trustDomain,
      services: try services.map(plan))
  }

  private func plan(_ service: ComposeService) throws -> ServicePlan {
    switch service.local.kind {
    case .postgres: try planPostgres(service)
    case .service: try planService(service)
    case .process: try planProcess(service)
    }
  }

  private func planPostgres(_ service: ComposeService) throws -> ServicePlan {
    let pieces = try postgres.pieces(
      port: port("postgres", of: service), databases: project.compose.settings.databases,
      identityDirectory: leaf(service.local.identity ?? service.name), environment: environment(of: service))
    return ServicePlan(
      name: service.name, kind: .postgres, identity: service.local.identity, dependencies: service.dependencies,
      preparation: pieces.preparation,
      process: pieces.process, provisioning: pieces.provisioning, probe: try probe(of: service, builtIn: .command(pieces.probe)),
      restart: service.restart, stopSignals: [service.stopSignal ?? SIGINT, SIGQUIT], stopGracePeriod: service.stopGracePeriod,
      ports: service.local.ports)
  }

  private func planService(_ service: ComposeService) throws -> ServicePlan {
    let local = service.local
    let executable = project.executablesDirectory + "/" + local.executable
    let environment = environment(of: service)
    var database: [String] = []
    if let name = local.database {
      guard let server = project.compose.services.first(where: { $0.local.kind == .postgres }) else {
        throw ComposeError(.unknownService, at: service.position, "\(service.name) has a database, but no service is of kind postgres")
      }
      guard project.compose.settings.databases.contains(name) else {
        throw ComposeError(
          .invalidValue, at: service.position, "\(service.name)'s database '\(name)' is not among the databases of x-florin")
      }
      database = ["--database-host", "127.0.0.1", "--database-port", String(try port("postgres", of: server)), "--database-name", name]
    }
    var arguments = ["serve", "--listen", try address("mesh", of: service), "--ops-listen", try address("ops", of: service)]
    arguments += ["--identity-directory", leaf(local.identity ?? service.name)] + database
    if let policy = project.compose.settings.policy {
      arguments += ["--policy-file", absolutePath(Project.parent(of: project.composePath) + "/" + policy)]
    }
    for name in local.peers {
      guard let peer = project.compose.services.first(where: { $0.name == name }) else { continue }
      arguments += ["--peers-\(name)", try address("mesh", of: peer)]
    }
    let migrations = local.migrator.map { migrator in
      StepPlan(
        name: "migrate",
        process: ProcessPlan(
          executable: executable, arguments: ["migrate", "--identity-directory", leaf(migrator)] + database,
          environment: environment, directory: project.directory.path))
    }
    return ServicePlan(
      name: service.name, kind: .service, identity: service.local.identity, dependencies: service.dependencies,
      preparation: migrations.map { [$0] } ?? [],
      process: ProcessPlan(
        executable: executable, arguments: arguments + local.arguments, environment: environment, directory: project.directory.path,
        takesLifeline: true),
      probe: try probe(of: service, builtIn: .http(port: port("ops", of: service), path: "/readyz")), restart: service.restart,
      stopSignals: [service.stopSignal ?? SIGTERM], stopGracePeriod: service.stopGracePeriod, ports: local.ports)
  }

  private func planProcess(_ service: ComposeService) throws -> ServicePlan {
    guard let executable = locate(service.local.executable) else {
      throw RunnerError(
        .environment,
        "\(service.name)'s executable '\(service.local.executable)' is neither a path nor in PATH: install it, or correct x-florin")
    }
    return ServicePlan(
      name: service.name, kind: .process, dependencies: service.dependencies,
      process: ProcessPlan(
        executable: executable, arguments: service.local.arguments, environment: environment(of: service),
        directory: project.directory.path),
      probe: try probe(of: service, builtIn: nil), restart: service.restart, stopSignals: [service.stopSignal ?? SIGTERM],
      stopGracePeriod: service.stopGracePeriod, ports: service.local.ports)
  }

  private func probe(of service: ComposeService, builtIn: ProbePlan.Method?) throws -> ProbePlan? {
    let check = service.healthCheck
    let method: ProbePlan.Method?
    switch check.test {
    case .disabled: method = nil
    case .builtIn: method = builtIn
    case .shell(let command): method = .command(self.command(["/bin/sh", "-c", command], of: service))
    case .command(let words):
      guard let program = locate(words[0]) else {
        throw RunnerError(.environment, "\(service.name)'s healthcheck '\(words[0])' is neither a path nor in PATH")
      }
      method = .command(self.command([program] + words.dropFirst(), of: service))
    }
    return method.map {
      ProbePlan(method: $0, interval: check.interval, timeout: check.timeout, startPeriod: check.startPeriod, retries: check.retries)
    }
  }

  private func command(_ words: [String], of service: ComposeService) -> ProcessPlan {
    ProcessPlan(
      executable: words[0], arguments: Array(words.dropFirst()), environment: environment(of: service),
      directory: project.directory.path, deathSignal: SIGKILL)
  }

  private func address(_ name: String, of service: ComposeService) throws -> String { "127.0.0.1:\(try port(name, of: service))" }

  private func port(_ name: String, of service: ComposeService) throws -> Int {
    guard let port = service.local.ports[name] else {
      throw ComposeError(.missingKey, at: service.position, "\(service.name) has no \(name) port in x-florin")
    }
    return port
  }

  private func leaf(_ name: String) -> String { project.certificatesDirectory + "/leaves/" + name }

  /// What a program needs to run at all, and what the file gives it; nothing else of the user's environment.
  private func environment(of service: ComposeService) -> [String: String] {
    let inherited = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SWIFT_BACKTRACE", "SWIFT_ROOT"]
    let base = variables.filter { inherited.contains($0.key) }
    return base.merging(service.environment) { _, own in own }
  }

  private func locate(_ program: String) -> String? {
    if program.contains("/") {
      let path = absolutePath(program.hasPrefix("/") ? program : Project.parent(of: project.composePath) + "/" + program)
      return access(path, X_OK) == 0 ? path : nil
    }
    return (variables["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
  }
}
