public import CoreMetrics
internal import Synchronization

/// Keeps the metrics of this process and renders them for Prometheus: a `MetricsFactory` for swift-metrics.
///
/// - Counters get the suffix `_total`; timers are histograms in seconds and get `_seconds`; recorders are histograms; gauges and
///   meters are gauges. A label's dots and hyphens become underscores: "rpc.server.duration" is `rpc_server_duration_seconds`.
/// - Cardinality is bounded: above `seriesPerFamily` all further label sets of a family share one series `{overflow="true"}`,
///   above `families` new names are dropped; both are counted in `telemetry_overflow_total`.
/// - A name that is used for two kinds of metric keeps its first; the other is dropped and counted likewise.
public final class PrometheusRegistry: MetricsFactory {
  enum Kind: String, Sendable { case counter, gauge, histogram }

  struct Family: Sendable {
    var kind: Kind
    var unit: String?
    var help: String?
    var series: [SeriesLabels: any MetricSeries] = [:]
  }

  private struct State {
    var families: [String: Family] = [:]
    var help: [String: String] = [:]
    var collectors: [@Sendable () -> Void] = []
    var overflows: UInt64 = 0
  }

  private let state = Mutex(State())
  private let buckets: [String: HistogramBuckets]
  private let mostFamilies: Int
  private let mostSeries: Int

  /// - Parameter buckets: for histograms that need others than the usual ones, by the metric's name as it is rendered.
  public init(buckets: [String: HistogramBuckets] = [:], families: Int = 500, seriesPerFamily: Int = 500) {
    self.buckets = buckets
    mostFamilies = families
    mostSeries = seriesPerFamily
  }

  /// Says in one sentence what a metric means. `name` is the label that it is used with; `_total` and `_seconds` may be left out.
  public func describe(_ name: String, _ help: String) { state.withLock { $0.help[Self.base(MetricName.metric(name))] = help } }

  private static func base(_ name: String) -> String {
    for suffix in ["_total", "_seconds"] where name.hasSuffix(suffix) { return String(name.dropLast(suffix.count)) }
    return name
  }

  /// Is called before each rendering, to bring gauges up to date that would be costly to keep current.
  public func addCollector(_ collect: @escaping @Sendable () -> Void) { state.withLock { $0.collectors.append(collect) } }

  /// All metrics as text.
  public func render(_ format: ExpositionFormat = .openMetrics) -> String {
    // Collectors set metrics themselves: not under our lock.
    for collect in state.withLock({ $0.collectors }) { collect() }
    let (families, overflows) = state.withLock { ($0.families, $0.overflows) }
    var text = ExpositionText(format: format)
    for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty { text.append(name, family) }
    if overflows > 0 { text.appendOverflows(overflows) }
    return text.finish()
  }

  // MARK: MetricsFactory

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counter(label, dimensions)
  }

  public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
    counter(label, dimensions)
  }

  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    let name = MetricName.metric(label)
    guard aggregate else { return series(name, .gauge, unit: nil, dimensions) { GaugeSeries() } }
    let buckets = buckets[name] ?? .counts
    return series(name, .histogram, unit: nil, dimensions) { HistogramSeries(buckets: buckets) }
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    let name = MetricName.metric(label)
    return series(name, .gauge, unit: nil, dimensions) { GaugeSeries() }
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let name = Self.base(MetricName.metric(label)) + "_seconds"
    let buckets = buckets[name] ?? .seconds
    return series(name, .histogram, unit: "seconds", dimensions) { HistogramSeries(buckets: buckets) }
  }

  public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
  public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

  private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterSeries {
    var name = MetricName.metric(label)
    // The family's name is without the suffix; each sample has it.
    if name.hasSuffix("_total") { name.removeLast(6) }
    return series(name, .counter, unit: nil, dimensions) { CounterSeries() }
  }

  private func series<Series: MetricSeries>(
    _ name: String, _ kind: Kind, unit: String?, _ dimensions: [(String, String)], make: () -> Series
  ) -> Series {
    let labels = SeriesLabels(dimensions)
    return state.withLock { state in
      if let found = state.families[name]?.series[labels] as? Series { return found }
      guard var family = state.families[name] ?? (state.families.count < mostFamilies ? Family(kind: kind, unit: unit) : nil),
        family.kind == kind
      else {
        state.overflows += 1
        return make()
      }
      family.help = state.help[Self.base(name)]
      var target = labels
      if family.series.count >= mostSeries {
        state.overflows += 1
        target = .overflow
      }
      let series = family.series[target] as? Series ?? make()
      family.series[target] = series
      state.families[name] = family
      return series
    }
  }

  private func remove(_ handler: AnyObject) {
    state.withLock { state in
      for (name, family) in state.families {
        guard let labels = family.series.first(where: { $0.value === handler })?.key else { continue }
        state.families[name]?.series[labels] = nil
        return
      }
    }
  }
}
