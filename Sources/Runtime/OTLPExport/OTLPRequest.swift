internal import ProtobufCodec
internal import Telemetry
internal import Tracing

/// Spans as OTLP's protobuf wants them.
enum OTLPRequest {
  static func make(_ spans: [FinishedSpan], resource: [String: String]) -> OTLPAPI.ExportTraceServiceRequest {
    let attributes = resource.sorted { $0.key < $1.key }.map { keyValue($0.key, .stringValue(text($0.value))) }
    let scope = OTLPAPI.ScopeSpans(
      scope: OTLPAPI.InstrumentationScope(name: "florin"), spans: spans.map(span))
    return OTLPAPI.ExportTraceServiceRequest(
      resourceSpans: [OTLPAPI.ResourceSpans(resource: OTLPAPI.Resource(attributes: attributes), scopeSpans: [scope])])
  }

  private static func span(_ span: FinishedSpan) -> OTLPAPI.Span {
    OTLPAPI.Span(
      traceID: bytes(span.context.traceIDHigh) + bytes(span.context.traceIDLow), spanID: bytes(span.context.spanID),
      traceState: span.context.state.header, parentSpanID: span.parentSpanID.map(bytes) ?? [], name: text(span.name),
      kind: kind(span.kind), startTimeUnixNano: span.startNanoseconds, endTimeUnixNano: span.endNanoseconds,
      attributes: keyValues(span.attributes), droppedAttributesCount: UInt32(clamping: span.droppedAttributes),
      events: span.events.map { event in
        OTLPAPI.SpanEvent(timeUnixNano: event.nanosecondsSinceEpoch, name: text(event.name), attributes: keyValues(event.attributes))
      }, droppedEventsCount: UInt32(clamping: span.droppedEvents),
      links: span.links.map { link in
        OTLPAPI.SpanLink(
          traceID: bytes(link.context.traceIDHigh) + bytes(link.context.traceIDLow), spanID: bytes(link.context.spanID),
          traceState: link.context.state.header, attributes: keyValues(link.attributes), flags: link.context.isSampled ? 1 : 0)
      }, droppedLinksCount: UInt32(clamping: span.droppedLinks), status: span.status.map(status),
      flags: span.context.isSampled ? 1 : 0)
  }

  private static func kind(_ kind: SpanKind) -> OTLPAPI.SpanKind {
    switch kind {
    case .server: .server
    case .client: .client
    case .producer: .producer
    case .consumer: .consumer
    case .internal: .internal
    }
  }

  private static func status(_ status: SpanStatus) -> OTLPAPI.SpanStatus {
    OTLPAPI.SpanStatus(message: text(status.message ?? ""), code: status.code == .ok ? .ok : .error)
  }

  /// Sorted, so that the same span always makes the same bytes.
  private static func keyValues(_ attributes: SpanAttributes) -> [OTLPAPI.KeyValue] {
    var out: [OTLPAPI.KeyValue] = []
    attributes.forEach { key, value in out.append(keyValue(key, self.value(value))) }
    return out.sorted { $0.key < $1.key }
  }

  private static func keyValue(_ key: String, _ value: OTLPAPI.AnyValue.Value) -> OTLPAPI.KeyValue {
    OTLPAPI.KeyValue(key: text(key), value: OTLPAPI.AnyValue(value: value))
  }

  private static func value(_ attribute: SpanAttribute) -> OTLPAPI.AnyValue.Value {
    switch attribute {
    case .int32(let value): .intValue(Int64(value))
    case .int64(let value): .intValue(value)
    case .double(let value): .doubleValue(value)
    case .bool(let value): .boolValue(value)
    case .string(let value): .stringValue(text(value))
    case .stringConvertible(let value): .stringValue(text(value.description))
    // Lists are rare here and travel as text.
    case .int32Array(let values): .stringValue(text(values.description))
    case .int64Array(let values): .stringValue(text(values.description))
    case .doubleArray(let values): .stringValue(text(values.description))
    case .boolArray(let values): .stringValue(text(values.description))
    case .stringArray(let values): .stringValue(text(values.description))
    case .stringConvertibleArray(let values): .stringValue(text(values.map(\.description).description))
    default: .stringValue("")
    }
  }

  /// At most 4,096 characters; NUL, which protobuf-c can't carry in a string, becomes U+FFFD.
  private static func text(_ text: String) -> String {
    let short = text.unicodeScalars.prefix(4096)
    guard short.contains("\0") || short.endIndex != text.unicodeScalars.endIndex else { return text }
    var out = String.UnicodeScalarView()
    for scalar in short { out.append(scalar == "\0" ? "\u{fffd}" : scalar) }
    return String(out)
  }

  /// Big-endian, as in hexadecimal text.
  private static func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) } }
}
