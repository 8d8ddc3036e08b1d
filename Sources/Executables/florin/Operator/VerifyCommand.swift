import ArgumentParser
import ComposeRunner
import Logging
import Postgres
import Verify

/// `florin verify`.
struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check the invariants of the books, as the auditor, who can only read.",
    discussion: """
      Reads the rows themselves, in all four databases; may run beside payments.

      Exit code 0: all hold; 1: at least one does not; 3: a database cannot be
      reached.

      Examples
        florin verify
        florin verify --json
        florin verify --unfinished-limit 60
      """)

  @OptionGroup var project: ProjectOptions

  @Option(
    name: .customLong("unfinished-limit"),
    help: ArgumentHelp("A payment that takes longer than this to come to an end is a violation.", valueName: "seconds"))
  var unfinishedLimit: Int64 = 900

  @Flag(name: .long, help: "For machines.")
  var json = false

  func validate() throws {
    guard (0...86_400).contains(unfinishedLimit) else { throw ValidationError("--unfinished-limit must be from 0 to 86400 seconds") }
  }

  func run() async throws {
    let directory = try project.directory()
    guard let status = SupervisorStatus.read(directory), status.phase != .stopped else { throw SupervisorClient(directory).nothingRuns }
    guard let port = status.services.first(where: { $0.kind == .postgres })?.ports["postgres"] else {
      throw Failure(.environment, "the running project has no PostgreSQL: see florin ps", reason: "service_unknown")
    }
    func database(_ name: String) -> PostgresConfiguration {
      PostgresConfiguration(
        host: "127.0.0.1", port: port, database: name, user: "auditor",
        identityDirectory: status.certificatesDirectory + "/leaves/auditor", applicationName: "florin verify", poolSize: 1)
    }
    let targets = VerificationTargets(
      ledger: database("ledger"), account: database("account"), payment: database("payment"), notification: database("notification"))
    // What is wrong is told as the report or the command's error.
    let logger = Logger(label: "florin.verify") { _ in SwiftLogNoOpLogHandler() }
    let report: VerificationReport
    do {
      report = try await Verification(targets, unfinishedLimitSeconds: unfinishedLimit, logger: logger).run()
    } catch let error as PostgresError {
      let code: Failure.Code =
        switch error.code {
        case .unreachable, .connectionLost, .timedOut, .cancelled, .poolExhausted, .poolClosed: .unavailable
        case .refused: .environment
        default: .bug
        }
      throw Failure(
        code, "a database cannot be read: \(error.message). See florin ps and florin logs postgres", reason: "database_unreadable")
    }
    show(report)
    guard report.passed else { throw Failure.silent(.declined) }
  }

  private func show(_ report: VerificationReport) {
    guard !json else { return Console.print(Self.record(report).json) }
    for invariant in report.invariants {
      let mark =
        switch invariant.outcome {
        case .passed: "✓"
        case .failed: "✗"
        case .skipped: "–"
        }
      Console.print("\(mark) \(invariant.name): \(invariant.statement) (\(invariant.checked) checked)")
      if let violation = invariant.firstViolation {
        Console.print("    \(invariant.violations) violated; the first: \(violation)")
      }
      if let note = invariant.note { Console.print("    \(note)") }
    }
    Console.print("ledger verified up to batch \(report.ledgerBatch), hash \(report.ledgerHash)")
    Console.print(report.passed ? "every invariant holds" : "NOT every invariant holds")
  }

  private static func record(_ report: VerificationReport) -> Record {
    let invariants = report.invariants.map { invariant in
      Record([
        ("name", .text(invariant.name)), ("statement", .text(invariant.statement)), ("outcome", .text(invariant.outcome.rawValue)),
        ("checked", .number(Int64(invariant.checked))), ("violations", .number(Int64(invariant.violations))),
        (
          "first_violation",
          invariant.firstViolation.map {
            .record(
              Record([("service", .text($0.service)), ("table", .text($0.table)), ("row", .text($0.row)), ("problem", .text($0.problem))]))
          } ?? .null
        ), ("note", invariant.note.map { .text($0) } ?? .null),
      ])
    }
    return Record([
      ("started_at", .text(report.startedAt)), ("finished_at", .text(report.finishedAt)), ("passed", .flag(report.passed)),
      ("ledger_batch", .number(report.ledgerBatch)), ("ledger_hash", .text(report.ledgerHash)), ("invariants", .records(invariants)),
    ])
  }
}
