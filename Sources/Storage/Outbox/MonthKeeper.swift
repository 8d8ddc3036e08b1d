public import Logging
internal import Metrics
public import Postgres
public import ServiceLifecycle

/// Keeps the partitions of the audit log and the outbox three months ahead: at start, and once a day. A failure is an alarm,
/// not an outage: there are three months to notice it.
public struct MonthKeeper: Service {
  private let pool: PostgresPool
  private let logger: Logger
  private let interval: Duration

  /// - Parameter interval: between runs; after a failure the next is tried after a 24th of it.
  public init(pool: PostgresPool, logger: Logger, interval: Duration = .seconds(86_400)) {
    self.pool = pool
    self.logger = logger
    self.interval = interval
  }

  public func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        var pause = interval
        do throws(PostgresError) {
          let made = try await Self.ensureMonths(in: pool)
          if made > 0 { logger.notice("months.made", metadata: ["count": .stringConvertible(made)]) }
        } catch {
          logger.error("months.missing", metadata: ["detail": .string(error.description)])
          Counter(label: "months_failures").increment()
          pause = interval / 24
        }
        // Ends at shutdown, which the loop's condition sees.
        try? await Task.sleep(for: pause)
      }
    }
  }

  /// Makes the months that are missing and returns how many partitions that were.
  @discardableResult
  public static func ensureMonths(in executor: some SQLExecutor) async throws(PostgresError) -> Int {
    Int(try await executor.query("SELECT ensure_common_months() AS made").first?.int64("made") ?? 0)
  }
}
