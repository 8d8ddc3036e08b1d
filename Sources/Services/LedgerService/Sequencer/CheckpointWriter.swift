internal import LedgerRules
internal import Logging
internal import Postgres
internal import ServiceLifecycle

/// Writes checkpoints beside the ledger, when there is time. They are a cache: what is lost here only makes a read a little longer.
final class CheckpointWriter: Service {
  private let pool: PostgresPool
  private let logger: Logger
  private let stream: AsyncStream<[Checkpoint]>
  private let continuation: AsyncStream<[Checkpoint]>.Continuation

  init(pool: PostgresPool, logger: Logger) {
    self.pool = pool
    self.logger = logger
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
  }

  func offer(_ checkpoints: [Checkpoint]) {
    if !checkpoints.isEmpty { continuation.yield(checkpoints) }
  }

  func run() async throws {
    await withGracefulShutdownHandler {
      for await checkpoints in stream {
        do { try await Self.write(checkpoints, pool) } catch {
          logger.warning("ledger.checkpoints_failed", metadata: ["detail": .string("\(error)")])
        }
      }
    } onGracefulShutdown: {
      self.continuation.finish()
    }
  }

  static func write(_ checkpoints: [Checkpoint], _ executor: some SQLExecutor) async throws(PostgresError) {
    try await executor.query(
      """
      INSERT INTO derived.checkpoints (account_no, as_of, account_seq, balance, held)
      SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
      """,
      [
        .int64Array(checkpoints.map(\.accountNumber)), .timestampArray(checkpoints.map(\.asOf)),
        .int64Array(checkpoints.map(\.accountSequence)), .int64Array(checkpoints.map(\.balance)), .int64Array(checkpoints.map(\.held)),
      ])
  }
}
