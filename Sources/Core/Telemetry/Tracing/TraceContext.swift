/// Where a span stands in its trace: what W3C Trace Context (Recommendation, level 1) carries from process to process.
public struct TraceContext: Sendable, Hashable {
  /// 16 bytes, never all zero; as two halves.
  public let traceIDHigh: UInt64
  public let traceIDLow: UInt64
  /// 8 bytes, never zero.
  public let spanID: UInt64
  /// The caller may have recorded this trace.
  public let isSampled: Bool
  /// Other tracers' state, handed on as it came.
  public let state: TraceState

  /// Nil if the trace id or the span id is zero: those mean "none".
  public init?(traceIDHigh: UInt64, traceIDLow: UInt64, spanID: UInt64, isSampled: Bool, state: TraceState = TraceState()) {
    guard traceIDHigh | traceIDLow != 0, spanID != 0 else { return nil }
    self.traceIDHigh = traceIDHigh
    self.traceIDLow = traceIDLow
    self.spanID = spanID
    self.isSampled = isSampled
    self.state = state
  }

  /// Parses a `traceparent` (§3.2). Nil if it is invalid: the receiver then starts a new trace.
  ///
  /// A version above 00 is read as far as 00 goes (§3.2.4); version ff, upper case, zero ids and wrong lengths are invalid.
  public init?(traceparent: String, state: TraceState = TraceState()) {
    let bytes = Array(traceparent.utf8)
    guard bytes.count >= 55, bytes[2] == 0x2d, bytes[35] == 0x2d, bytes[52] == 0x2d,
      let version = Self.hex(bytes[0..<2]), version != 0xff,
      bytes.count == 55 || (version > 0 && bytes[55] == 0x2d),
      let high = Self.hex(bytes[3..<19]), let low = Self.hex(bytes[19..<35]), let span = Self.hex(bytes[36..<52]),
      let flags = Self.hex(bytes[53..<55])
    else { return nil }
    self.init(traceIDHigh: high, traceIDLow: low, spanID: span, isSampled: flags & 1 == 1, state: state)
  }

  /// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".
  public var traceparent: String { "00-\(traceIDText)-\(spanIDText)-\(isSampled ? "01" : "00")" }

  /// 32 lower-case hexadecimal digits.
  public var traceIDText: String { Self.text(traceIDHigh) + Self.text(traceIDLow) }
  /// 16 lower-case hexadecimal digits.
  public var spanIDText: String { Self.text(spanID) }

  /// The same trace, at another span.
  func child(spanID: UInt64) -> TraceContext? {
    TraceContext(traceIDHigh: traceIDHigh, traceIDLow: traceIDLow, spanID: spanID, isSampled: isSampled, state: state)
  }

  private static func text(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Lower case only, at most 16 digits.
  private static func hex(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
      switch digit {
      case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
      case 0x61...0x66: value = value << 4 | UInt64(digit - 0x61 + 10)
      default: return nil
      }
    }
    return value
  }
}
