/// Which traces are recorded. A trace that someone else began is recorded if they record it (parent-based); of those that begin
/// here, a share.
///
/// The choice for a new trace depends on its id alone, so that every process with the same share chooses the same traces
/// (OpenTelemetry's TraceIdRatioBased).
public struct TraceSampler: Sendable, Hashable {
  /// In millionths, 0 to 1,000,000.
  public let partsPerMillion: Int

  /// Out-of-range shares count as none or all.
  public init(partsPerMillion: Int) { self.partsPerMillion = min(max(partsPerMillion, 0), 1_000_000) }

  public static let always = TraceSampler(partsPerMillion: 1_000_000)
  public static let never = TraceSampler(partsPerMillion: 0)

  func samples(parent: TraceContext?, traceIDLow: UInt64) -> Bool {
    if let parent { return parent.isSampled }
    // The lowest 56 bits are the ones that W3C wants to be random.
    let random = traceIDLow & (1 << 56 - 1)
    let threshold = (UInt64(1) << 56) / 1_000_000 * UInt64(partsPerMillion)
    return partsPerMillion == 1_000_000 || random < threshold
  }
}
