import ArgumentParser
import ComposeRunner
import Foundation

/// `florin up`.
struct Up: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Start the mesh: certificates, PostgreSQL, migrations, the four services.",
    discussion: """
      Without -d it stays, shows the logs, and stops everything at Ctrl-C (a
      second one kills). What runs already is left as it is.

      Examples
        florin up -d --wait
        FLORIN_OTLP_ENDPOINT=http://127.0.0.1:4318 florin up
        FLORIN_LEDGER_PORT=7302 … florin up -d --state-dir /tmp/second
      """)

  @OptionGroup var options: ComposeOptions

  @Flag(name: .shortAndLong, help: "Run in the background.")
  var detach = false

  @Flag(name: .long, help: "Wait until every service is healthy (implies -d).")
  var wait = false

  @Option(name: .customLong("wait-timeout"), help: ArgumentHelp("How long to wait at most.", valueName: "seconds"))
  var waitTimeout: Int = 180

  func validate() throws {
    guard waitTimeout > 0 else { throw ValidationError("--wait-timeout must be more than 0 seconds") }
  }

  func run() throws {
    let project = try options.open()
    for name in project.compose.unsetVariables {
      Console.progress("warning: the variable \(name) is not set, and stands for nothing in \(project.compose.path)")
    }
    let planner = Planner(
      project: project, variables: ComposeOptions.variables,
      postgres: PrivatePostgres(directory: project.directory, florin: ComposeOptions.programs.florin))
    let plan = try planner.plan()
    try prepareCertificates(project)
    let isDetached = detach || wait
    if isDetached {
      let isNew = try ProjectLifecycle.start(plan, programs: ComposeOptions.programs, attached: false)
      if !isNew { Console.progress("\(plan.project) runs already") }
      try waitIfAsked(project.directory)
    } else {
      try runAttached(plan, project.directory)
    }
  }

  private func prepareCertificates(_ project: Project) throws {
    let report = try project.ensureCertificates()
    guard !report.isUnchanged else { return }
    let made = report.items.filter { $0.action != .kept }.count
    Console.progress("certificates: \(made) of \(report.items.count) made in \(project.certificatesDirectory)")
  }

  private func waitIfAsked(_ directory: StateDirectory) throws {
    guard wait else { return }
    try ProjectLifecycle.waitUntilUp(
      SupervisorClient(directory), timeout: .seconds(waitTimeout), onChange: Self.show)
    Console.progress("everything is up: florin ps shows it, florin down stops it")
  }

  /// One line for each change, while services come up.
  static func show(_ service: ServiceStatus) {
    guard service.state != "created" else { return }
    let health = service.health == "none" ? "" : " (\(service.health))"
    // That a service which is starting does not answer yet is no news.
    let isTroubled = ["failed", "restarting"].contains(service.state) || service.health == "unhealthy"
    Console.progress("\(service.name): \(service.state)\(health)" + (isTroubled ? service.detail.map { " – \($0)" } ?? "" : ""))
  }

  /// Shows logs until everything has stopped, which the first Ctrl-C asks for and the second enforces.
  private func runAttached(_ plan: ProjectPlan, _ directory: StateDirectory) throws {
    let interrupts = Interrupts()
    let isNew = try ProjectLifecycle.start(plan, programs: ComposeOptions.programs, attached: true)
    let client = SupervisorClient(directory)
    let attachment = isNew ? try client.attach() : nil
    var logs = LogReader(directory, services: plan.services.map(\.name))
    logs.skipExisting()
    var printer = LogPrinter(services: plan.services.map(\.name), isPrefixed: true)
    var stops = 0
    while try client.status() != nil {
      for line in logs.new() { printer.print(line) }
      let count = interrupts.count
      if count > stops {
        stops = count
        Console.progress(stops == 1 ? "stopping everything (Ctrl-C again kills)" : "killing everything")
        try client.requestDown(force: stops > 1)
      }
      usleep(100_000)
    }
    for line in logs.new() { printer.print(line) }
    attachment?.end()
    try ProjectLifecycle.stop(directory, timeout: .seconds(60), force: false)
  }
}
