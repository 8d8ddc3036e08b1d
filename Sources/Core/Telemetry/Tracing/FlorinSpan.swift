internal import Synchronization
public import Tracing

/// A span of `FlorinTracer`. Bounded: 64 attributes, 64 events, 32 links; what goes over is counted in the finished span.
public final class FlorinSpan: Tracing.Span {
  static let mostAttributes = 64
  static let mostEvents = 64
  static let mostLinks = 32

  public let context: ServiceContext
  private let sink: (any SpanSink)?
  /// Nil once it has ended.
  private let state: Mutex<FinishedSpan?>
  private let name: Mutex<String>

  init(
    name: String, kind: SpanKind, context: ServiceContext, trace: TraceContext, parentSpanID: UInt64?, startNanoseconds: UInt64,
    sink: (any SpanSink)?
  ) {
    self.context = context
    self.sink = sink
    self.name = Mutex(name)
    // Without a sink nothing will ever be read: such a span is only its context.
    state = Mutex(
      sink == nil
        ? nil
        : FinishedSpan(
          name: name, kind: kind, context: trace, parentSpanID: parentSpanID, startNanoseconds: startNanoseconds,
          endNanoseconds: startNanoseconds, attributes: [:], events: [], links: [], status: nil, droppedAttributes: 0,
          droppedEvents: 0, droppedLinks: 0))
  }

  public var operationName: String {
    get { name.withLock { $0 } }
    set {
      name.withLock { $0 = newValue }
      change { $0.name = newValue }
    }
  }

  public var isRecording: Bool { sink != nil && state.withLock { $0 != nil } }

  public var attributes: SpanAttributes {
    get { state.withLock { $0?.attributes ?? [:] } }
    set {
      change { span in
        guard newValue.count > Self.mostAttributes else {
          span.attributes = newValue
          return
        }
        var kept = SpanAttributes()
        var names: [String] = []
        newValue.forEach { name, _ in names.append(name) }
        for name in names.sorted().prefix(Self.mostAttributes) { kept.set(name, value: newValue.get(name)) }
        span.attributes = kept
        span.droppedAttributes += newValue.count - Self.mostAttributes
      }
    }
  }

  public func setStatus(_ status: SpanStatus) { change { $0.status = status } }

  public func addEvent(_ event: SpanEvent) {
    change { span in
      if span.events.count < Self.mostEvents { span.events.append(event) } else { span.droppedEvents += 1 }
    }
  }

  public func addLink(_ link: SpanLink) {
    guard let trace = link.context.traceContext else { return }
    change { span in
      if span.links.count < Self.mostLinks {
        span.links.append(FinishedSpan.Link(context: trace, attributes: link.attributes))
      } else {
        span.droppedLinks += 1
      }
    }
  }

  /// Recorded as the event "exception" of OpenTelemetry's semantic conventions.
  public func recordError<Instant: TracerInstant>(
    _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
  ) {
    guard isRecording else { return }
    var all = attributes
    all["exception.type"] = String(reflecting: type(of: error))
    all["exception.message"] = String(describing: error)
    addEvent(SpanEvent(name: "exception", at: instant(), attributes: all))
  }

  public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
    let finished = state.withLock { span in
      defer { span = nil }
      return span
    }
    // A second end has no effect: the first told the whole story.
    guard var finished, let sink else { return }
    // Wall clocks go back sometimes; a span never ends before it began.
    finished.endNanoseconds = max(instant().nanosecondsSinceEpoch, finished.startNanoseconds)
    sink.record(finished)
  }

  private func change(_ body: (inout FinishedSpan) -> Void) {
    guard sink != nil else { return }
    state.withLock { span in
      guard var changed = span else { return }
      // Taken out first, so that appending doesn't copy what was there.
      span = nil
      body(&changed)
      span = changed
    }
  }
}
