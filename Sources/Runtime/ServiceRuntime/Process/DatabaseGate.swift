internal import Logging
internal import Migrations
internal import Postgres

/// Waits until the service's database can be used: reachable, fit to keep money, and migrated to what this program expects.
///
/// A database that is not there yet, or restarting, is waited for. One that refuses us, may forget what it acknowledged, or has
/// other migrations is not: waiting would not mend that.
struct DatabaseGate {
  let service: String
  let migrations: [Migration]
  let pool: PostgresPool
  let readiness: ReadinessState
  let logger: Logger
  /// Between attempts; doubles from the first to the second.
  var pause: ClosedRange<Duration> = .milliseconds(200) ... .seconds(2)

  /// - Throws: `ServiceFailure` (configuration) if there is no point in waiting; `CancellationError`.
  func waitUntilUsable() async throws {
    var next = pause.lowerBound
    var lastReason = ""
    while true {
      let reason: String
      switch await attempt() {
      case .usable: return
      case .refused(let message): throw ServiceFailure(.configuration, message)
      case .waiting(let why): reason = why
      }
      readiness.starting("the database can't be used yet: " + reason)
      if reason != lastReason {
        lastReason = reason
        logger.warning("service.waiting_for_database", metadata: ["detail": .string(reason)])
      }
      try await Task.sleep(for: next)
      next = min(next * 2, pause.upperBound)
    }
  }

  enum Attempt: Sendable, Hashable {
    case usable
    case waiting(String)
    case refused(String)
  }

  struct Applied: Sendable, Hashable {
    var version: Int
    var name: String
    var checksum: [UInt8]
  }

  /// Whether the database has what this program expects.
  private func attempt() async -> Attempt {
    await Deadline.$current.withValue(.now + .seconds(10)) {
      do throws(PostgresError) {
        // Durability is checked by the pool at each connect; a server that fails it comes back as `.refused`.
        let rows = try await pool.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        var applied: [Applied] = []
        for row in rows {
          applied.append(Applied(version: Int(try row.int32("version")), name: try row.text("name"), checksum: try row.bytes("checksum")))
        }
        return Self.compare(migrations, applied, service: service)
      } catch {
        return Self.judge(error, service: service)
      }
    }
  }

  /// What an error at start means.
  static func judge(_ error: PostgresError, service: String) -> Attempt {
    switch error.code {
    case .refused: return .refused(error.message)
    // No such table or schema, or no right to see it: nobody has migrated here.
    case .sqlState("42P01"), .sqlState("3F000"), .sqlState("42501"):
      return .refused("the database of \(service) has not been migrated (\(error.message)): run `\(service) migrate`")
    case .sqlState where !error.isUnavailable: return .refused(error.description)
    case .misuse, .typeMismatch, .unknownColumn, .unexpectedNull: return .refused(error.description)
    default: return .waiting(error.message)
    }
  }

  /// Whether the history in the database is that of this program.
  static func compare(_ migrations: [Migration], _ applied: [Applied], service: String) -> Attempt {
    let known = Dictionary(migrations.map { ($0.version, $0) }) { first, _ in first }
    for row in applied {
      guard let migration = known[row.version] else {
        return .refused("the database has migration \(row.version) (\(row.name)), which this program does not know: run a newer \(service)")
      }
      guard migration.checksum == row.checksum else {
        return .refused(
          "migration \(row.version) (\(row.name)) in the database is not the one of this program: it was edited after it had been applied; restore its text"
        )
      }
    }
    let versions = Set(applied.map(\.version))
    let pending = migrations.filter { !versions.contains($0.version) }
    guard pending.isEmpty else {
      let list = pending.map { "\($0.version) (\($0.name))" }.joined(separator: ", ")
      return .refused("the database lacks \(pending.count) of \(migrations.count) migrations: \(list); run `\(service) migrate`")
    }
    return .usable
  }
}
