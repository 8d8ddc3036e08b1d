import Telemetry
import Testing
import Tracing

struct HeaderCarrier: Injector, Extractor {
  func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
  func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
}

@Suite("W3C Trace Context")
struct TraceContextTests {
  static let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

  @Test("A valid traceparent is read and written")
  func valid() throws {
    let context = try #require(TraceContext(traceparent: Self.example))
    #expect(context.traceIDText == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(context.spanIDText == "00f067aa0ba902b7")
    #expect(context.isSampled)
    #expect(context.traceparent == Self.example)
    #expect(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")?.isSampled == false)
    #expect(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff")?.isSampled == true)
    #expect(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02")?.isSampled == false)
    #expect(TraceContext(traceparent: "00-00000000000000000000000000000001-0000000000000001-00")?.spanID == 1)
  }

  @Test("A later version is read as far as version 00 goes")
  func laterVersions() {
    #expect(TraceContext(traceparent: "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?.traceparent == Self.example)
    #expect(TraceContext(traceparent: "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-ever")?.traceparent == Self.example)
    #expect(TraceContext(traceparent: "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what") == nil)
  }

  @Test(
    "Anything else is invalid",
    arguments: [
      "", "00", "00-", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
      "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011", "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
      " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
    ])
  func invalid(text: String) { #expect(TraceContext(traceparent: text) == nil) }

  @Test(
    "A valid tracestate is kept in its order",
    arguments: [
      ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), ("a=1 , b=2 ,, ,c= x", "a=1,b=2,c= x"),
      ("fw529a3039@dt=FfUgN", "fw529a3039@dt=FfUgN"), ("0tenant@s=1", "0tenant@s=1"), ("a*b/c_d-e=!~", "a*b/c_d-e=!~"), ("", ""),
    ])
  func state(text: String, header: String) throws { #expect(try #require(TraceState(text)).header == header) }

  @Test(
    "An invalid tracestate is dropped as a whole",
    arguments: ["a", "=1", "A=1", "0a=1", "a=1,a=2", "a=", "a=b=c", "a@=1", "a@B=1", "a@b@c=1", "a=é", "a=\u{1}", "a b=1", "@b=1"])
  func invalidState(text: String) { #expect(TraceState(text) == nil) }

  @Test("A tracestate has at most 32 members and is written in at most 512 characters, the longest going first")
  func stateLimits() throws {
    #expect(TraceState((0..<32).map { "k\($0)=v" }.joined(separator: ","))?.members.count == 32)
    #expect(TraceState((0..<33).map { "k\($0)=v" }.joined(separator: ",")) == nil)
    #expect(TraceState("k=" + String(repeating: "v", count: 256)) != nil)
    #expect(TraceState("k=" + String(repeating: "v", count: 257)) == nil)
    let long = "long=" + String(repeating: "v", count: 200)
    let short = (0..<20).map { "key\($0)=" + String(repeating: "v", count: 20) }.joined(separator: ",")
    let header = try #require(TraceState(long + "," + short)).header
    #expect(header.utf8.count <= 512)
    #expect(!header.contains("long="))
    #expect(header.hasPrefix("key0="))
  }

  @Test("What one process injects, the next extracts; the span has the caller's as parent")
  func acrossProcesses() throws {
    let sink = MemorySpanSink()
    let tracer = FlorinTracer(sink: sink)
    var carrier: [String: String] = [:]
    tracer.withSpan("client", ofKind: .client) { span in
      var context = span.context
      context.traceContext = context.traceContext.flatMap {
        TraceContext(traceparent: $0.traceparent, state: TraceState("a=1") ?? TraceState())
      }
      tracer.inject(context, into: &carrier, using: HeaderCarrier())
    }
    #expect(carrier["tracestate"] == "a=1")
    var context = ServiceContext.topLevel
    tracer.extract(carrier, into: &context, using: HeaderCarrier())
    tracer.withSpan("server", context: context, ofKind: .server) { span in
      #expect(span.context.traceContext?.state.header == "a=1")
    }
    let spans = sink.spans
    try #require(spans.map(\.name) == ["client", "server"])
    #expect(spans[0].parentSpanID == nil)
    #expect(spans[1].parentSpanID == spans[0].context.spanID)
    #expect(spans[1].context.traceIDText == spans[0].context.traceIDText)
    #expect(spans[1].kind == .server)
  }

  @Test("An invalid traceparent starts a new trace; an invalid tracestate costs only itself")
  func invalidCarriers() {
    let tracer = FlorinTracer(sink: nil)
    var context = ServiceContext.topLevel
    tracer.extract(["traceparent": "nonsense", "tracestate": "a=1"], into: &context, using: HeaderCarrier())
    #expect(context.traceContext == nil)
    tracer.extract(["traceparent": Self.example, "tracestate": "A=1"], into: &context, using: HeaderCarrier())
    #expect(context.traceContext?.traceparent == Self.example)
    #expect(context.traceContext?.state.isEmpty == true)
    #expect(tracer.startSpan("x", context: context).context.traceContext?.traceIDText == "4bf92f3577b34da6a3ce929d0e0e4736")
  }

  @Test("Stored work goes on in the trace that it was stored in")
  func continuing() {
    ServiceContext.withValue(.continuing(traceparent: Self.example)) {
      #expect(TraceIdentity.current?.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
      #expect(TraceIdentity.current?.traceparent == Self.example)
    }
    #expect(ServiceContext.continuing(traceparent: nil).traceContext == nil)
    #expect(TraceIdentity.current == nil)
  }
}
