internal import LedgerRules
internal import Metrics

/// What the sequencer counts, technical and business. Amounts are counted by the payment service.
struct SequencerMetrics: Sendable {
  private let batchSize = Recorder(label: "ledger_batch_postings")
  private let queueDepth = Gauge(label: "ledger_queue_postings")
  private let commitDuration = Metrics.Timer(label: "ledger_batch_commit_duration")
  private let rebuilds = Counter(label: "ledger_rebuilds")
  private let rebuildDuration = Metrics.Timer(label: "ledger_rebuild_duration")

  func booked(_ batch: Batch, in duration: Duration) {
    batchSize.record(Int64(batch.transfers.count + batch.events.count))
    commitDuration.recordNanoseconds(Self.nanoseconds(duration))
    var outcomes: [String: Int] = [:]
    for row in batch.transfers { outcomes["\(row.outcome.rawValue) \(row.kind.rawValue) \(row.reason ?? "")", default: 0] += 1 }
    for (key, count) in outcomes {
      let parts = key.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
      Counter(label: "ledger_postings", dimensions: [("outcome", parts[0]), ("kind", parts[1]), ("reason", parts[2])])
        .increment(by: count)
    }
  }

  func waiting(_ postings: Int) { queueDepth.record(postings) }

  func rebuilt(in duration: Duration) {
    rebuilds.increment()
    rebuildDuration.recordNanoseconds(Self.nanoseconds(duration))
  }

  func failed(_ kind: String) { Counter(label: "ledger_batches_failed", dimensions: [("cause", kind)]).increment() }

  private static func nanoseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
  }
}
