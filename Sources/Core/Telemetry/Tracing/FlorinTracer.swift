public import Tracing

/// The tracer: makes spans, gives those that are sampled to a sink, and carries the trace between processes by W3C Trace
/// Context (`traceparent`, `tracestate`).
///
/// Without a sink nothing is recorded, but ids are still made and handed on: log lines and audit rows of one payment can be
/// found by trace id even where nothing is exported.
public struct FlorinTracer: Tracer {
  public typealias Span = FlorinSpan

  private let sink: (any SpanSink)?
  private let sampler: TraceSampler

  public init(sink: (any SpanSink)?, sampler: TraceSampler = .always) {
    self.sink = sink
    self.sampler = sampler
  }

  public func startSpan<Instant: TracerInstant>(
    _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
    at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
  ) -> FlorinSpan {
    var context = context()
    let parent = context.traceContext
    let own = Self.newContext(parent: parent, sampler: sampler)
    context.traceContext = own
    return FlorinSpan(
      name: operationName, kind: kind, context: context, trace: own, parentSpanID: parent?.spanID,
      startNanoseconds: instant().nanosecondsSinceEpoch, sink: own.isSampled ? sink : nil)
  }

  /// What is recorded goes to the sink when a span ends; the sink flushes itself.
  public func forceFlush() {}

  public func extract<Carrier, Extract: Extractor>(
    _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
  ) where Extract.Carrier == Carrier {
    guard let parent = extractor.extract(key: "traceparent", from: carrier) else { return }
    let state = extractor.extract(key: "tracestate", from: carrier).flatMap(TraceState.init) ?? TraceState()
    context.traceContext = TraceContext(traceparent: parent, state: state)
  }

  public func inject<Carrier, Inject: Injector>(
    _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
  ) where Inject.Carrier == Carrier {
    guard let trace = context.traceContext else { return }
    injector.inject(trace.traceparent, forKey: "traceparent", into: &carrier)
    if !trace.state.isEmpty { injector.inject(trace.state.header, forKey: "tracestate", into: &carrier) }
  }

  private static func newContext(parent: TraceContext?, sampler: TraceSampler) -> TraceContext {
    var generator = SystemRandomNumberGenerator()
    while true {
      // An id of all zeros means "none"; once in 2^64 we draw again.
      let spanID = generator.next()
      let high = parent?.traceIDHigh ?? generator.next()
      let low = parent?.traceIDLow ?? generator.next()
      let isSampled = sampler.samples(parent: parent, traceIDLow: low)
      if let context = TraceContext(
        traceIDHigh: high, traceIDLow: low, spanID: spanID, isSampled: isSampled, state: parent?.state ?? TraceState())
      {
        return context
      }
    }
  }
}
