/// The two text formats that Prometheus reads.
public enum ExpositionFormat: Sendable, Hashable {
  /// OpenMetrics 1.0.0: with units and exemplars.
  case openMetrics
  /// Prometheus' own text format 0.0.4.
  case prometheus

  /// What the HTTP answer says it is.
  public var contentType: String {
    switch self {
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    }
  }

  /// OpenMetrics if the scraper asks for it, else the older format, which everything can read.
  public init(accept: String?) {
    self = accept?.contains("application/openmetrics-text") == true ? .openMetrics : .prometheus
  }
}

/// Writes metric families as text.
struct ExpositionText {
  let format: ExpositionFormat
  private var text = ""

  init(format: ExpositionFormat) { self.format = format }

  mutating func append(_ name: String, _ family: PrometheusRegistry.Family) {
    let sample = family.kind == .counter ? name + "_total" : name
    head(name: format == .openMetrics ? name : sample, kind: family.kind.rawValue, unit: family.unit, help: family.help)
    // Sorted, so that two renderings of the same values are the same text.
    let series = family.series.map { ($0.key.text(), $0.key, $0.value) }.sorted { $0.0 < $1.0 }
    for (labelText, labels, series) in series {
      switch series {
      case let counter as CounterSeries: line(sample + labelText, counter.text)
      case let gauge as GaugeSeries: line(sample + labelText, gauge.text)
      case let histogram as HistogramSeries: append(histogram, name, labels, labelText)
      default: break
      }
    }
  }

  mutating func appendOverflows(_ count: UInt64) {
    let name = "telemetry_overflow"
    head(
      name: format == .openMetrics ? name : name + "_total", kind: "counter", unit: nil,
      help: "Metrics or label sets that were not kept because there were too many, or of two kinds.")
    line(name + "_total", String(count))
  }

  mutating func finish() -> String {
    if format == .openMetrics { text += "# EOF\n" }
    return text
  }

  private mutating func head(name: String, kind: String, unit: String?, help: String?) {
    text += "# TYPE \(name) \(kind)\n"
    if let unit, format == .openMetrics { text += "# UNIT \(name) \(unit)\n" }
    if let help { text += "# HELP \(name) \(MetricName.escaped(help))\n" }
  }

  private mutating func append(_ histogram: HistogramSeries, _ name: String, _ labels: SeriesLabels, _ labelText: String) {
    let contents = histogram.contents
    var cumulative: UInt64 = 0
    for (index, count) in contents.counts.enumerated() {
      cumulative += count
      let bound = index < histogram.buckets.bounds.count ? Self.bound(histogram.buckets.bounds[index], format) : "+Inf"
      line(name + "_bucket" + labels.text(("le", bound)), String(cumulative), contents.exemplars[index])
    }
    line(name + "_sum" + labelText, MetricName.number(contents.sum))
    line(name + "_count" + labelText, String(cumulative))
  }

  /// OpenMetrics wants bounds as floating point in one spelling: "1.0", not "1".
  private static func bound(_ value: Double, _ format: ExpositionFormat) -> String {
    format == .openMetrics ? value.description : MetricName.number(value)
  }

  private mutating func line(_ series: String, _ value: String, _ exemplar: HistogramSeries.Exemplar? = nil) {
    text += series + " " + value
    if let exemplar, format == .openMetrics {
      text += " # {trace_id=\"\(exemplar.traceID)\"} \(MetricName.number(exemplar.value)) \(exemplar.unixSeconds)"
    }
    text += "\n"
  }
}
