import Money
import Telemetry
import Testing
import Tracing

@Suite("Spans")
struct TracerTests {
  let sink = MemorySpanSink()

  @Test("Nested spans are one trace, each with its own id")
  func nesting() throws {
    let tracer = FlorinTracer(sink: sink)
    tracer.withSpan("outer") { _ in tracer.withSpan("inner") { _ in } }
    let spans = sink.spans
    try #require(spans.map(\.name) == ["inner", "outer"])
    #expect(spans[0].parentSpanID == spans[1].context.spanID)
    #expect(spans[0].context.traceIDLow == spans[1].context.traceIDLow)
    #expect(spans[0].context.spanID != spans[1].context.spanID)
    #expect(spans[0].endNanoseconds >= spans[0].startNanoseconds)
  }

  @Test("An error that is thrown through a span is in it")
  func errors() throws {
    let tracer = FlorinTracer(sink: sink)
    #expect(throws: AmountError.overflow) { try tracer.withSpan("failing") { _ in throw AmountError.overflow } }
    let span = try #require(sink.spans.first)
    #expect(span.status?.code == .error)
    #expect(span.events.map(\.name) == ["exception"])
    #expect(span.events.first?.attributes.get("exception.type") == .string("Money.AmountError"))
  }

  @Test("Name, attributes, events, links and status arrive; a second end and changes after the end don't")
  func contents() throws {
    let tracer = FlorinTracer(sink: sink)
    let other = tracer.startSpan("other")
    let span = tracer.startSpan("first name", ofKind: .producer)
    span.operationName = "second name"
    span.attributes["count"] = 3
    span.updateAttributes { $0["name"] = "x" }
    span.addEvent("something")
    span.addLink(SpanLink(context: other.context, attributes: [:]))
    span.addLink(SpanLink(context: .topLevel, attributes: [:]))
    span.setStatus(SpanStatus(code: .ok))
    #expect(span.isRecording)
    span.end()
    #expect(!span.isRecording)
    span.attributes["late"] = true
    span.end()
    let finished = try #require(sink.spans.first)
    #expect(sink.spans.count == 1)
    #expect(finished.name == "second name")
    #expect(finished.attributes == ["count": .int64(3), "name": "x"])
    #expect(finished.links.map(\.context) == [other.context.traceContext])
    #expect(finished.status == SpanStatus(code: .ok))
  }

  @Test("A span is bounded, and says what it dropped")
  func bounds() throws {
    let span = FlorinTracer(sink: sink).startSpan("large")
    var attributes = SpanAttributes()
    for index in 0..<100 { attributes["key\(index)"] = index }
    span.attributes = attributes
    for _ in 0..<100 {
      span.addEvent("event")
      span.addLink(SpanLink(context: span.context, attributes: [:]))
    }
    span.end()
    let finished = try #require(sink.spans.first)
    #expect(finished.attributes.count == 64 && finished.droppedAttributes == 36)
    #expect(finished.events.count == 64 && finished.droppedEvents == 36)
    #expect(finished.links.count == 32 && finished.droppedLinks == 68)
  }

  @Test("Parent-based sampling: what the caller decided holds, whatever our share is")
  func parentBased() throws {
    let sampled = ServiceContext.continuing(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    let unsampled = ServiceContext.continuing(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
    FlorinTracer(sink: sink, sampler: .never).startSpan("a", context: sampled).end()
    #expect(sink.spans.map(\.name) == ["a"])
    let silent = FlorinTracer(sink: sink, sampler: .always).startSpan("b", context: unsampled)
    #expect(!silent.isRecording)
    #expect(silent.context.traceContext?.isSampled == false)
    silent.end()
    #expect(sink.spans.count == 1)
  }

  @Test("A share of new traces is recorded, the same ones by every process")
  func ratio() {
    let tenth = FlorinTracer(sink: sink, sampler: TraceSampler(partsPerMillion: 100_000))
    let half = FlorinTracer(sink: nil, sampler: TraceSampler(partsPerMillion: 500_000))
    var sampled = 0
    for _ in 0..<20_000 {
      let context = tenth.startSpan("x").context
      if context.traceContext?.isSampled == true { sampled += 1 }
    }
    // Five standard deviations of a binomial with n = 20,000 and p = 0.1 are 212.
    #expect((1788...2212).contains(sampled))
    for _ in 0..<200 { #expect(half.startSpan("x").context.traceContext != nil) }
    for _ in 0..<200 {
      #expect(FlorinTracer(sink: nil, sampler: .never).startSpan("x").context.traceContext?.isSampled == false)
      #expect(FlorinTracer(sink: nil, sampler: .always).startSpan("x").context.traceContext?.isSampled == true)
    }
  }

  @Test("Without a sink there are ids but no recording")
  func withoutSink() {
    let span = FlorinTracer(sink: nil).startSpan("x")
    #expect(!span.isRecording)
    #expect(span.context.traceContext?.isSampled == true)
    span.attributes["a"] = 1
    #expect(span.attributes.isEmpty)
    span.end()
  }

  @Test("Spans of many tasks at once: none is lost, none mixed", arguments: 0..<5)
  func concurrent(round: Int) async {
    let tracer = FlorinTracer(sink: sink)
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for index in 0..<200 {
            await tracer.withSpan("\(task)") { span in
              span.attributes["index"] = index
              await Task.yield()
              tracer.withSpan("\(task).child") { $0.attributes["index"] = index }
            }
          }
        }
      }
    }
    let spans = sink.spans
    #expect(spans.count == 8 * 200 * 2)
    let byID = Dictionary(uniqueKeysWithValues: spans.map { ($0.context.spanID, $0) })
    for child in spans where child.name.hasSuffix("child") {
      let parent = child.parentSpanID.flatMap { byID[$0] }
      #expect(parent.map { $0.name + ".child" } == child.name)
      #expect(parent?.attributes == child.attributes)
    }
  }
}
