import Glibc

/// What can be known to go wrong before anything is started.
public enum Preflight {
  /// - Throws: `RunnerError` that names the program, port or directory and says what to do.
  public static func check(_ plan: ProjectPlan) throws(RunnerError) {
    for service in plan.services where service.kind != .postgres { try checkExecutable(of: service) }
    for service in plan.services {
      for (name, port) in service.ports.sorted(by: { $0.key < $1.key }) { try check(port: port, named: name, of: service.name) }
    }
  }

  private static func checkExecutable(of service: ServicePlan) throws(RunnerError) {
    let path = service.process.executable
    guard access(path, X_OK) != 0 else { return }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    throw RunnerError(
      .environment,
      errno == EACCES
        ? "'\(path)' may not be run by this user: check its mode"
        : "the executable '\(name)' of service \(service.name) is not at '\(path)': build it with swift build (make demo does)")
  }

  private static func check(port: Int, named name: String, of service: String) throws(RunnerError) {
    guard let obstacle = LoopbackPort.obstacle(port) else { return }
    let variable = "FLORIN_\(service.uppercased().replacing("-", with: "_"))\(name == "ops" ? "_OPS" : "")_PORT"
    let remedy = "stop it, or choose another port in the compose file (deploy/compose.yaml reads \(variable))"
    switch obstacle {
    case EADDRINUSE:
      let holder = LoopbackPort.holder(port).map { "used by \($0)" } ?? "in use by another process"
      throw RunnerError(.environment, "port \(port) of 127.0.0.1, \(service)'s \(name) port, is \(holder): \(remedy)")
    case EACCES:
      throw RunnerError(
        .environment, "port \(port), \(service)'s \(name) port, is reserved for the superuser: choose one of 1024 or more (\(variable))")
    default:
      throw RunnerError(.environment, "port \(port), \(service)'s \(name) port, cannot be listened on: \(systemMessage(obstacle))")
    }
  }
}
