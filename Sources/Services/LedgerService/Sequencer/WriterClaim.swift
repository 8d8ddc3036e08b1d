internal import Digest
internal import LedgerRules
internal import Money
internal import Outbox
internal import Postgres

/// Taking over as the writer: a new epoch, and an empty batch under it. From then on nothing that another writer, or our own
/// earlier connection, still has under way can commit; so what is not in the database after this never will be.
enum WriterClaim {
  static func claim(
    _ connection: PostgresConnection, owner: String, now: @Sendable () -> Timestamp
  ) async throws -> (head: LedgerState.Head, epoch: Int64) {
    for attempt in 0..<20 {
      let head = try await LedgerLoader.head(connection)
      let epochs = try await connection.query("SELECT max(epoch) + 1 AS next FROM ledger.writer_epochs")
      let epoch = try epochs.first?.int64("next") ?? 1
      let next = Timestamp(microseconds: head.createdAt.microseconds + 1)
      let header = BatchHeader(
        number: head.number + 1, previousHash: head.hash, epoch: epoch, transferCount: 0, entryCount: 0, eventCount: 0,
        createdAt: max(now(), next))
      let hash = header.hash(rows: [])
      do {
        // One round trip, one transaction.
        try await connection.pipeline([
          SQLStatement("INSERT INTO ledger.writer_epochs (epoch, owner) VALUES ($1, $2)", [.int64(epoch), .text(owner)]),
          SQLStatement(
            """
            INSERT INTO ledger.batches
              (batch_no, prev_no, prev_hash, epoch, transfer_count, entry_count, event_count, hash_version, hash, created_at)
            VALUES ($1, $1 - 1, $2, $3, 0, 0, 0, $4, $5, $6)
            """,
            [
              .int64(header.number), .bytes(head.hash), .int64(epoch), .int64(BatchHeader.hashVersion), .bytes(hash),
              .timestamp(header.createdAt),
            ]),
          AuditLog.statement(
            AuditRecord(
              actor: "/ledger", action: "ledger.take_over", subject: "batch/\(header.number)", outcome: "committed",
              detail: ["epoch": "\(epoch)", "writer": owner, "hash": hexadecimal(hash)]),
            at: header.createdAt),
        ])
        return (LedgerState.Head(number: header.number, hash: hash, createdAt: header.createdAt), epoch)
      } catch {
        guard error.isUniqueViolation || error.isForeignKeyViolation else { throw error }
        // Another writer was faster. Random pauses let one of them through.
        try await Task.sleep(for: .milliseconds(Int.random(in: 1...(10 + attempt * 10))))
      }
    }
    throw SequencerError.contended
  }
}
