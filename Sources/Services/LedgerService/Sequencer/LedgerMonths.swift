internal import Logging
internal import Metrics
internal import Money
internal import Postgres
internal import ServiceLifecycle

/// Keeps partitions three months ahead. A missing one is an alarm, not an outage: there are three months to notice it.
struct LedgerMonths: Service {
  let pool: PostgresPool
  let status: SequencerStatus
  let logger: Logger
  var interval: Duration = .seconds(3600)

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do {
          let months = try await Self.ensure(pool, logger)
          status.set(months)
        } catch {
          logger.error("ledger.months_missing", metadata: ["detail": .string("\(error)")])
          Counter(label: "ledger_months_failed").increment()
        }
        try? await Task.sleep(for: interval)
      }
    }
  }

  /// Makes the months that are missing, and says which there are.
  static func ensure(_ executor: some SQLExecutor, _ logger: Logger) async throws -> IDWindow {
    let made = try await executor.query("SELECT ledger.ensure_months() AS made").first?.int64("made") ?? 0
    if made > 0 { logger.notice("ledger.months_made", metadata: ["count": .stringConvertible(made)]) }
    let rows = try await executor.query("SELECT first_day, end_day FROM ledger.attached_months()")
    guard let row = rows.first else { throw SequencerError.noGenesis }
    return try IDWindow(firstDay: row.date("first_day"), endDay: row.date("end_day"))
  }
}
