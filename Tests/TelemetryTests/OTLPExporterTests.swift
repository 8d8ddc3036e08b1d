import CoreMetrics
import Logging
import Metrics
import ServiceLifecycle
import Telemetry
import Testing
import Tracing

@testable import OTLPExport

@Suite("OTLP export")
struct OTLPExporterTests {
  let receiver = OTLPReceiver()
  let registry = PrometheusRegistry()
  let output = MemoryLogOutput()

  /// Runs an exporter against the receiver, then shuts it down gracefully and waits for it.
  func export(
    _ change: @escaping @Sendable (inout OTLPConfiguration) -> Void = { _ in },
    _ body: @escaping @Sendable (OTLPSpanExporter, FlorinTracer) async throws -> Void
  ) async throws {
    let logger = Logger(label: "otlp") { JSONLogHandler(label: $0, service: "test", output: output) }
    try await receiver.serve { url in
      try await withMetricsFactory(registry) {
        var configuration = try OTLPConfiguration(
          endpoint: url, service: "payment", version: "1.2.3", interval: .milliseconds(20), firstBackoff: .milliseconds(10),
          longestBackoff: .milliseconds(40))
        change(&configuration)
        let exporter = OTLPSpanExporter(configuration, logger: logger)
        let group = ServiceGroup(services: [exporter], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          tasks.addTask { try await group.run() }
          try await body(exporter, FlorinTracer(sink: exporter))
          await group.triggerGracefulShutdown()
          try await tasks.waitForAll()
        }
      }
    }
  }

  func metric(_ line: String) -> Bool { registry.render().split(separator: "\n").contains(Substring(line)) }

  @Test("A span arrives with all that it says")
  func contents() async throws {
    let receiver = receiver
    try await export { _, tracer in
      tracer.withSpan("parent", ofKind: .server) { parent in
        tracer.withSpan("post", ofKind: .client) { span in
          span.attributes["rpc.method"] = "Post"
          span.attributes["attempt"] = 2
          span.attributes["share"] = 0.5
          span.attributes["replayed"] = true
          span.attributes["nul"] = "a\0b"
          span.attributes.set("redacted", value: .stringConvertible(Sensitive("canary")))
          span.addEvent(SpanEvent(name: "retry", attributes: ["reason": "UNAVAILABLE"]))
          span.addLink(SpanLink(context: parent.context, attributes: [:]))
          span.setStatus(SpanStatus(code: .error, message: "refused"))
        }
      }
      #expect(await eventually { receiver.spans.count == 2 })
    }
    #expect(receiver.contentTypes.allSatisfy { $0 == "application/x-protobuf" })
    let resource = try #require(receiver.requests.first?.resourceSpans.first?.resource)
    #expect(resource.attributes.contains { $0.key == "service.name" && $0.value?.value == .stringValue("payment") })
    #expect(resource.attributes.contains { $0.key == "service.version" && $0.value?.value == .stringValue("1.2.3") })
    let span = try #require(receiver.spans.first { $0.name == "post" })
    let parent = try #require(receiver.spans.first { $0.name == "parent" })
    #expect(span.traceID.count == 16 && span.traceID == parent.traceID)
    #expect(span.parentSpanID == parent.spanID && parent.parentSpanID.isEmpty)
    #expect(span.kind == .client && parent.kind == .server)
    #expect(span.endTimeUnixNano >= span.startTimeUnixNano && span.startTimeUnixNano > 1_700_000_000_000_000_000)
    #expect(span.status?.code == .error && span.status?.message == "refused")
    #expect(span.events.map(\.name) == ["retry"])
    #expect(span.links.map(\.spanID) == [parent.spanID])
    let attributes = Dictionary(uniqueKeysWithValues: span.attributes.map { ($0.key, $0.value?.value) })
    #expect(attributes["rpc.method"] == .stringValue("Post"))
    #expect(attributes["attempt"] == .intValue(2))
    #expect(attributes["share"] == .doubleValue(0.5))
    #expect(attributes["replayed"] == .boolValue(true))
    #expect(attributes["nul"] == .stringValue("a\u{fffd}b"))
    #expect(attributes["redacted"] == .stringValue("[redacted]"))
    #expect(metric("otlp_spans_exported_total 2"))
  }

  @Test("Every span arrives once, in batches no larger than the limit")
  func batches() async throws {
    let receiver = receiver
    try await export({ $0.batchLimit = 50 }) { _, tracer in
      await withTaskGroup(of: Void.self) { group in
        for task in 0..<10 {
          group.addTask { for index in 0..<100 { tracer.startSpan("\(task).\(index)").end() } }
        }
      }
      #expect(await eventually { receiver.spans.count == 1000 })
    }
    #expect(Set(receiver.spans.map(\.name)).count == 1000)
    #expect(Set(receiver.spans.map(\.spanID)).count == 1000)
    #expect(receiver.requests.allSatisfy { $0.resourceSpans[0].scopeSpans[0].spans.count <= 50 })
    #expect(metric("otlp_spans_exported_total 1000"))
  }

  @Test("429, 502, 503 and 504 are tried again until the collector takes them", arguments: [429, 502, 503, 504])
  func retries(code: Int) async throws {
    let receiver = receiver
    let status = OTLPReceiver.Answer(status: .init(code: code))
    receiver.answer([status, OTLPReceiver.Answer(status: .init(code: code), retryAfter: "0"), status])
    try await export { exporter, tracer in
      tracer.startSpan("x").end()
      #expect(await eventually { exporter.queued == 0 })
    }
    #expect(receiver.spans.count == 1)
    #expect(receiver.attempts == 4)
    #expect(metric("otlp_spans_exported_total 1"))
    #expect(metric("otlp_export_retries_total 3"))
  }

  @Test("After the last attempt the batch is dropped, counted and logged, and the next one goes out")
  func retriesExhausted() async throws {
    let receiver = receiver
    receiver.answer([.init(status: .serviceUnavailable), .init(status: .serviceUnavailable)])
    try await export({ $0.attempts = 2 }) { exporter, tracer in
      tracer.startSpan("lost").end()
      #expect(await eventually { exporter.queued == 0 })
      tracer.startSpan("kept").end()
      #expect(await eventually { receiver.spans.count == 1 })
    }
    #expect(receiver.spans.map(\.name) == ["kept"])
    #expect(metric(#"otlp_spans_dropped_total{reason="retries_exhausted"} 1"#))
    #expect(output.lines.contains { $0.contains("otlp.export_failed") })
  }

  @Test("An answer that retrying can't help drops the batch at once", arguments: [400, 404, 500])
  func refused(code: Int) async throws {
    let receiver = receiver
    receiver.answer([.init(status: .init(code: code))])
    try await export { exporter, tracer in
      tracer.startSpan("x").end()
      #expect(await eventually { exporter.queued == 0 })
    }
    #expect(receiver.attempts == 1)
    #expect(metric(#"otlp_spans_dropped_total{reason="refused"} 1"#))
    #expect(output.lines.contains { $0.contains("otlp.export_refused") && $0.contains("\(code)") })
  }

  @Test("Spans that the collector rejects are counted as dropped")
  func partialSuccess() async throws {
    let receiver = receiver
    receiver.answer([.init(rejected: 2)])
    try await export({ $0.interval = .milliseconds(200) }) { exporter, tracer in
      for _ in 0..<5 { tracer.startSpan("x").end() }
      #expect(await eventually { exporter.queued == 0 })
    }
    #expect(metric(#"otlp_spans_dropped_total{reason="rejected"} 2"#))
    #expect(metric("otlp_spans_exported_total 3"))
  }

  @Test("A full queue drops the newest spans and never makes the caller wait")
  func fullQueue() async throws {
    let receiver = receiver
    try await receiver.serve { url in
      let configuration = try OTLPConfiguration(endpoint: url, service: "s", version: "1", queueLimit: 10)
      withMetricsFactory(registry) {
        let exporter = OTLPSpanExporter(configuration, logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() })
        let tracer = FlorinTracer(sink: exporter)
        for _ in 0..<25 { tracer.startSpan("x").end() }
        #expect(exporter.queued == 10)
      }
    }
    #expect(metric(#"otlp_spans_dropped_total{reason="queue_full"} 15"#))
  }

  @Test("Graceful shutdown sends what waits", arguments: 0..<5)
  func flush(round: Int) async throws {
    let receiver = receiver
    try await export({ $0.interval = .seconds(3600) }) { _, tracer in
      for index in 0..<700 { tracer.startSpan("\(index)").end() }
    }
    #expect(Set(receiver.spans.map(\.name)).count == 700)
    #expect(metric("otlp_spans_exported_total 700"))
  }

  @Test("A request that is under way when the process shuts down is finished, not sent again", arguments: 0..<5)
  func shutdownDuringRequest(round: Int) async throws {
    let receiver = receiver
    receiver.answer([.init(delay: .milliseconds(100))])
    try await export { _, tracer in
      tracer.startSpan("x").end()
      #expect(await eventually { receiver.attempts == 1 })
    }
    #expect(receiver.attempts == 1)
    #expect(receiver.spans.count == 1)
    #expect(metric("otlp_spans_exported_total 1"))
  }

  @Test("Shutdown does not wait for a collector that does not answer; what is left is counted and logged")
  func unreachable() async throws {
    let logger = Logger(label: "otlp") { JSONLogHandler(label: $0, service: "test", output: output) }
    // A port of this machine that nobody listens on: one that a server had just a moment ago.
    let dead = try await deadEndpoint()
    try await withMetricsFactory(registry) {
      let configuration = try OTLPConfiguration(
        endpoint: dead, service: "s", version: "1", interval: .milliseconds(10), attempts: 1000, flushLimit: .milliseconds(200))
      let exporter = OTLPSpanExporter(configuration, logger: logger)
      let group = ServiceGroup(services: [exporter], logger: logger)
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        FlorinTracer(sink: exporter).startSpan("x").end()
        let registry = registry
        #expect(await eventually { registry.render().contains("otlp_export_retries_total") })
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
      }
    }
    #expect(metric(#"otlp_spans_dropped_total{reason="shutdown"} 1"#))
    #expect(output.lines.contains { $0.contains("otlp.spans_lost") })
  }

  func deadEndpoint() async throws -> String {
    let (urls, continuation) = AsyncStream<String>.makeStream()
    try await receiver.serve { url in continuation.yield(url) }
    for await url in urls { return url }
    throw OTLPError.badEndpoint("")
  }

  @Test(
    "The endpoint is a base URL or the full URL",
    arguments: [
      ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"), ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
      ("https://collector/otlp", "https://collector/otlp/v1/traces"), ("http://h:1/v1/traces", "http://h:1/v1/traces"),
    ])
  func endpoints(text: String, url: String) throws {
    #expect(try OTLPConfiguration(endpoint: text, service: "s", version: "1").url == url)
  }

  @Test(
    "Anything else is refused in words",
    arguments: ["", "127.0.0.1:4318", "ftp://x", "http://", "grpc://x:4317", "http://user:pw@host", "http://a b"])
  func badEndpoints(text: String) {
    #expect(throws: OTLPError.badEndpoint(text)) { try OTLPConfiguration(endpoint: text, service: "s", version: "1") }
  }
}
