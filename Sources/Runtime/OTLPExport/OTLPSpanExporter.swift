internal import AsyncHTTPClient
public import Logging
internal import Metrics
internal import NIOCore
internal import ProtobufCodec
public import ServiceLifecycle
public import Telemetry
internal import Tracing

/// Sends finished spans to an OpenTelemetry collector by OTLP/HTTP with protobuf (OTLP 1.x).
///
/// The measured code never waits: spans go into a bounded queue, and those that find it full are dropped and counted
/// (`otlp_spans_dropped_total` by reason, beside `otlp_spans_exported_total`). Batches are retried with back-off where the
/// protocol says so (429, 502, 503, 504, and no answer); anything else drops the batch. On graceful shutdown what waits is sent,
/// within a limit.
public final class OTLPSpanExporter: SpanSink, Service {
  private enum Outcome {
    case sent(rejected: Int64, String)
    case retry(after: Duration?, String)
    case refused(String)
  }

  private enum DropReason: String, CaseIterable {
    case queueFull = "queue_full"
    case encoding, refused, rejected
    case retriesExhausted = "retries_exhausted"
    case shutdown
  }

  private let configuration: OTLPConfiguration
  private let queue: SpanQueue
  private let logger: Logger
  private let exported = Counter(label: "otlp_spans_exported")
  private let retries = Counter(label: "otlp_export_retries")
  private let dropped: [DropReason: Counter]

  public init(_ configuration: OTLPConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    dropped = Dictionary(
      uniqueKeysWithValues: DropReason.allCases.map { ($0, Counter(label: "otlp_spans_dropped", dimensions: [("reason", $0.rawValue)])) })
    queue = SpanQueue(limit: configuration.queueLimit, batchLimit: configuration.batchLimit)
  }

  /// Spans that wait.
  public var queued: Int { queue.count }

  public func record(_ span: FinishedSpan) {
    if !queue.append(span) { drop(1, .queueFull) }
  }

  /// Sends until the process shuts down, then what is left, within `flushLimit`.
  public func run() async throws {
    var options = HTTPClient.Configuration()
    // Spans of the export would have to be exported.
    options.tracing.tracer = nil
    options.redirectConfiguration = .disallow
    options.timeout.connect = .seconds(2)
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    await exportUntilShutdown(client)
    await flush(client)
    let left = queue.close()
    if left > 0 {
      drop(left, .shutdown)
      logger.warning("otlp.spans_lost", metadata: ["spans": .stringConvertible(left), "detail": "not sent within the time for shutdown"])
    }
    try await client.shutdown()
  }

  /// A request that is under way is not cut off by the shutdown: its spans would be sent twice.
  private func exportUntilShutdown(_ client: HTTPClient) async {
    while !isEnding {
      await cancelWhenGracefulShutdown { await self.waitForWork() }
      while !isEnding {
        let batch = queue.batch()
        if batch.isEmpty { break }
        await export(batch, client)
        // A short batch means that nothing more waited: collect again.
        if batch.count < configuration.batchLimit { break }
      }
    }
  }

  private var isEnding: Bool { Task.isCancelled || Task.isShuttingDownGracefully }

  private func waitForWork() async {
    let (queue, interval) = (queue, configuration.interval)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await queue.waitForBatch() }
      group.addTask { try? await Task.sleep(for: interval) }
      await group.next()
      group.cancelAll()
    }
  }

  private func flush(_ client: HTTPClient) async {
    let limit = configuration.flushLimit
    // A task of its own: it must run although ours may be cancelled.
    let flushing = Task.detached {
      while !Task.isCancelled {
        let batch = self.queue.batch()
        if batch.isEmpty { return }
        await self.export(batch, client)
      }
    }
    let alarm = Task.detached {
      try? await Task.sleep(for: limit)
      flushing.cancel()
    }
    await flushing.value
    alarm.cancel()
  }

  /// Sends one batch and takes it off the queue, sent or dropped; leaves it there when cancelled.
  private func export(_ batch: [FinishedSpan], _ client: HTTPClient) async {
    let body: [UInt8]
    do {
      body = try OTLPRequest.make(batch, resource: configuration.resource).serialized()
    } catch {
      logger.error("otlp.encoding_failed", error: error, metadata: ["spans": .stringConvertible(batch.count)])
      queue.removeFirst(batch.count)
      return drop(batch.count, .encoding)
    }
    var backoff = configuration.firstBackoff
    for attempt in 1...configuration.attempts {
      let outcome = await post(body, client)
      if isEnding, case .retry = outcome { return }
      switch outcome {
      case .sent(let rejected, let detail):
        queue.removeFirst(batch.count)
        let lost = Int(clamping: max(0, rejected))
        exported.increment(by: max(0, batch.count - lost))
        if lost > 0 {
          drop(lost, .rejected)
          logger.warning("otlp.spans_rejected", metadata: ["spans": .stringConvertible(lost), "detail": .string(detail)])
        }
        return
      case .refused(let detail):
        queue.removeFirst(batch.count)
        drop(batch.count, .refused)
        logger.warning("otlp.export_refused", metadata: ["spans": .stringConvertible(batch.count), "detail": .string(detail)])
        return
      case .retry(let after, let detail):
        retries.increment()
        guard attempt < configuration.attempts else {
          queue.removeFirst(batch.count)
          drop(batch.count, .retriesExhausted)
          logger.warning("otlp.export_failed", metadata: ["spans": .stringConvertible(batch.count), "detail": .string(detail)])
          return
        }
        let jitter = Duration.nanoseconds(Int64.random(in: 0...max(1, backoff.nanoseconds / 2)))
        let pause = min(after ?? backoff + jitter, configuration.longestBackoff * 2)
        backoff = min(backoff * 2, configuration.longestBackoff)
        do { try await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) } } catch { return }
      }
    }
  }

  private func post(_ body: [UInt8], _ client: HTTPClient) async -> Outcome {
    var request = HTTPClientRequest(url: configuration.url)
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/x-protobuf")
    request.headers.add(name: "user-agent", value: "florin-otlp")
    request.body = .bytes(body)
    do {
      let response = try await client.execute(request, timeout: .nanoseconds(configuration.requestTimeout.nanoseconds))
      let answer = try await response.body.collect(upTo: 1 << 20)
      switch response.status.code {
      case 200...299:
        let decoded = try? OTLPAPI.ExportTraceServiceResponse(serialized: Array(answer.readableBytesView))
        let partial = decoded?.partialSuccess
        return .sent(rejected: partial?.rejectedSpans ?? 0, partial?.errorMessage ?? "")
      case 429, 502, 503, 504:
        let seconds = response.headers.first(name: "retry-after").flatMap { Int64($0) }.flatMap { (0...3600).contains($0) ? $0 : nil }
        return .retry(after: seconds.map { .seconds($0) }, "the collector answered \(response.status.code)")
      default:
        return .refused("the collector answered \(response.status.code) to POST \(configuration.url); check otlp.endpoint")
      }
    } catch {
      return .retry(after: nil, "no answer from \(configuration.url): \(error)")
    }
  }

  private func drop(_ count: Int, _ reason: DropReason) { dropped[reason]?.increment(by: count) }
}

extension Duration {
  /// Saturates beyond 292 years.
  fileprivate var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? (seconds < 0 ? .min : .max) : product + attoseconds / 1_000_000_000
  }
}
