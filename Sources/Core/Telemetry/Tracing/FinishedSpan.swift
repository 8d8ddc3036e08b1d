public import Tracing

/// A span that has ended, as exporters get it.
public struct FinishedSpan: Sendable {
  public var name: String
  public var kind: SpanKind
  public var context: TraceContext
  /// Nil for the first span of a trace.
  public var parentSpanID: UInt64?
  public var startNanoseconds: UInt64
  public var endNanoseconds: UInt64
  public var attributes: SpanAttributes
  public var events: [SpanEvent]
  public var links: [Link]
  /// Nil: never set (OpenTelemetry's "unset").
  public var status: SpanStatus?
  /// What went over the limits of a span.
  public var droppedAttributes: Int
  public var droppedEvents: Int
  public var droppedLinks: Int

  /// Another span that this one has to do with.
  public struct Link: Sendable {
    public var context: TraceContext
    public var attributes: SpanAttributes
  }
}
