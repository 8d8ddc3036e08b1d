import ArgumentParser
import ComposeRunner

/// `florin ps`.
struct Ps: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what runs.",
    discussion: """
      Examples
        florin ps
        florin ps --json
      """)

  @OptionGroup var project: ProjectOptions

  @Flag(name: .long, help: "For machines.")
  var json = false

  func run() throws {
    let directory = try project.directory()
    let status = try SupervisorClient(directory).status()
    let records = (status?.services ?? []).map(Self.record)
    if json {
      Console.print(
        Record([
          ("project", status.map { .text($0.project) } ?? .null), ("state_directory", .text(directory.path)),
          ("running", .flag(status != nil)), ("supervisor_pid", status.map { .number(Int64($0.supervisor.pid)) } ?? .null),
          ("services", .records(records)),
        ]).json)
    } else if status == nil {
      Console.print("nothing runs in \(directory.path)")
    } else {
      Console.print(
        Record.table(
          records, columns: ["service", "state", "health", "pid", "addresses", "restarts", "uptime", "detail"],
          right: ["pid", "restarts", "uptime"]))
    }
  }

  private static func record(_ service: ServiceStatus) -> Record {
    let ports = service.ports.sorted { $0.key < $1.key }
    let detail = service.detail ?? service.lastExit.map { "ended with \($0)" } ?? service.waitsFor.first.map { "waits for \($0)" }
    return Record([
      ("service", .text(service.name)), ("state", .text(service.state)), ("health", .text(service.health)),
      ("up", .flag(service.isUp)), ("pid", service.pid.map { .number(Int64($0)) } ?? .null),
      ("ports", .record(Record(ports.map { ($0.key, .number(Int64($0.value))) }))),
      ("addresses", .texts(ports.map { "\($0.key) \($0.value)" })), ("restarts", .number(Int64(service.restarts))),
      ("uptime_seconds", service.uptimeSeconds.map { .number(Int64($0)) } ?? .null),
      ("uptime", service.uptimeSeconds.map { .text(duration($0)) } ?? .null),
      ("last_exit", service.lastExit.map { .text($0) } ?? .null),
      ("detail", detail.map { .text(service.isUp ? "" : String($0.prefix(80))) } ?? .null),
    ])
  }

  private static func duration(_ seconds: Int) -> String {
    switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
  }
}
