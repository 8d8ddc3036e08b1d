internal import CoreMetrics
internal import Synchronization
internal import Tracing

/// Anything that the registry can render.
protocol MetricSeries: AnyObject, Sendable {}

/// A sum that only grows. Whole increments are counted exactly; fractions are added as binary floating point.
final class CounterSeries: MetricSeries, CounterHandler, FloatingPointCounterHandler {
  private let whole = Atomic<UInt64>(0)
  private let fraction = Mutex<Double>(0)

  /// A counter never goes down: negative amounts are ignored.
  func increment(by amount: Int64) {
    guard amount > 0 else { return }
    whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
  }

  func increment(by amount: Double) {
    guard amount > 0, amount.isFinite else { return }
    if amount == amount.rounded(), amount < 9e15 { return increment(by: Int64(amount)) }
    fraction.withLock { $0 += amount }
  }

  func reset() {
    whole.store(0, ordering: .relaxed)
    fraction.withLock { $0 = 0 }
  }

  var text: String {
    let whole = whole.load(ordering: .relaxed)
    let fraction = fraction.withLock { $0 }
    return fraction == 0 ? String(whole) : MetricName.number(Double(whole) + fraction)
  }
}

/// A value that goes up and down.
final class GaugeSeries: MetricSeries, RecorderHandler, MeterHandler {
  private let value = Mutex<Double>(0)

  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.withLock { $0 = value } }
  func increment(by amount: Double) { if amount.isFinite { value.withLock { $0 += amount } } }
  func decrement(by amount: Double) { if amount.isFinite { value.withLock { $0 -= amount } } }

  var text: String { MetricName.number(value.withLock { $0 }) }
}

/// A distribution over fixed buckets, each with the newest exemplar: the trace of one observation that fell into it.
final class HistogramSeries: MetricSeries, RecorderHandler, TimerHandler {
  struct Exemplar: Sendable {
    var traceID: String
    var value: Double
    var unixSeconds: Double
  }

  struct Contents: Sendable {
    /// One more than there are bounds; not cumulative.
    var counts: [UInt64]
    var exemplars: [Exemplar?]
    var sum: Double = 0
    var count: UInt64 { counts.reduce(0, +) }
  }

  let buckets: HistogramBuckets
  private let state: Mutex<Contents>

  init(buckets: HistogramBuckets) {
    self.buckets = buckets
    let slots = buckets.bounds.count + 1
    state = Mutex(Contents(counts: Array(repeating: 0, count: slots), exemplars: Array(repeating: nil, count: slots)))
  }

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    // NaN would poison the sum for good.
    guard value.isFinite else { return }
    let slot = buckets.bounds.firstIndex { value <= $0 } ?? buckets.bounds.count
    var exemplar: Exemplar?
    if let trace = ServiceContext.current?.traceContext, trace.isSampled {
      let now = DefaultTracerClock.now.nanosecondsSinceEpoch
      exemplar = Exemplar(traceID: trace.traceIDText, value: value, unixSeconds: Double(now / 1_000_000) / 1000)
    }
    state.withLock { contents in
      contents.counts[slot] += 1
      contents.sum += value
      if let exemplar { contents.exemplars[slot] = exemplar }
    }
  }

  /// Kept in seconds, the base unit of both formats.
  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

  var contents: Contents { state.withLock { $0 } }
}
