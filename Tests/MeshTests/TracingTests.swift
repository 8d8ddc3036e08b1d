import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import Telemetry
import Testing
import Tracing

/// The process has one tracer, which is set once.
private enum TestTracing {
  static let sink: MemorySpanSink = {
    let sink = MemorySpanSink(capacity: 100_000)
    InstrumentationSystem.bootstrap(FlorinTracer(sink: sink))
    return sink
  }()
}

@Suite("Traces across the mesh", .serialized)
struct TracingTests {
  @Test("one trace runs through client, server, and the next client and server; spans name system, service, method and code")
  func oneTrace() async throws {
    let sink = TestTracing.sink
    let far = try await TestServer(
      as: "account",
      methods: [.test("test.Far/Fail") { _, _ in throw RPCError(.notFound, "no such account") }])
    let toFar = try far.channel(as: "ledger", expecting: "account")
    let near = try await TestServer(methods: [
      .test("test.Near/Call") { message, context in
        #expect(context.metadata["traceparent"]?.hasPrefix("00-") == true)
        _ = await error { try await toFar.call("test.Far/Fail") }
        return RPCReply(message: message)
      }
    ])
    let channel = try near.channel()
    let root = startSpan("test.root", ofKind: .internal)
    let trace = try await ServiceContext.$current.withValue(root.context) { () -> String in
      _ = try await channel.call("test.Near/Call")
      return try #require(TraceIdentity.current?.traceID)
    }
    root.end()
    let ours = { sink.spans.filter { $0.context.traceIDText == trace } }
    try await eventually("five spans have ended") { ours().count == 5 }
    func span(_ name: String, _ kind: SpanKind) throws -> FinishedSpan {
      try #require(ours().first { $0.name == name && $0.kind == kind })
    }
    let chain = [
      try span("test.root", .internal), try span("test.Near/Call", .client), try span("test.Near/Call", .server),
      try span("test.Far/Fail", .client), try span("test.Far/Fail", .server),
    ]
    for (parent, child) in zip(chain, chain.dropFirst()) { #expect(child.parentSpanID == parent.context.spanID) }
    for span in chain.dropFirst() {
      let isFar = span.name == "test.Far/Fail"
      #expect(span.attributes["rpc.system"]?.toSpanAttribute() == .string("florin"))
      #expect(span.attributes["rpc.service"]?.toSpanAttribute() == .string(isFar ? "test.Far" : "test.Near"))
      #expect(span.attributes["rpc.method"]?.toSpanAttribute() == .string(isFar ? "Fail" : "Call"))
      #expect(span.attributes["rpc.status_code"]?.toSpanAttribute() == .string(isFar ? "NOT_FOUND" : "OK"))
    }
    await channel.shutDown()
    try await near.stop()
    await toFar.shutDown()
    try await far.stop()
  }
}
