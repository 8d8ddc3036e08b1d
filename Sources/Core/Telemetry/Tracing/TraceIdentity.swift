public import Tracing

/// The trace that the running task works in, as text: for log lines, audit rows and outbox rows.
public struct TraceIdentity: Sendable, Hashable {
  /// 32 lower-case hexadecimal digits.
  public let traceID: String
  /// 16 lower-case hexadecimal digits.
  public let spanID: String
  /// The W3C `traceparent` to store beside work that will be done later, by whoever.
  public let traceparent: String

  public init(_ context: TraceContext) {
    traceID = context.traceIDText
    spanID = context.spanIDText
    traceparent = context.traceparent
  }

  /// Nil outside of any trace.
  public static var current: TraceIdentity? { ServiceContext.current?.traceContext.map(TraceIdentity.init) }
}

extension ServiceContext {
  private enum Key: ServiceContextKey {
    typealias Value = TraceContext
    static let nameOverride: String? = "traceparent"
  }

  /// Where in which trace; nil outside of any.
  public var traceContext: TraceContext? {
    get { self[Key.self] }
    set { self[Key.self] = newValue }
  }

  /// The context in which stored work goes on in the trace that it was stored in. A new trace if the text is nil or invalid.
  public static func continuing(traceparent: String?) -> ServiceContext {
    var context = ServiceContext.topLevel
    context.traceContext = traceparent.flatMap { TraceContext(traceparent: $0) }
    return context
  }
}
