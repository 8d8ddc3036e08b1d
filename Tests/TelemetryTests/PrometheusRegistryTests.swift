import CoreMetrics
import Metrics
import Telemetry
import Testing
import Tracing

@Suite("Prometheus metrics")
struct PrometheusRegistryTests {
  @Test("Every kind of metric is rendered as OpenMetrics")
  func openMetrics() {
    let registry = PrometheusRegistry(buckets: [
      "batch_size": HistogramBuckets([1, 10, 100]), "rpc_duration_seconds": HistogramBuckets([0.1, 1]),
    ])
    registry.describe("payments", "Payments by outcome.")
    withMetricsFactory(registry) {
      Counter(label: "payments", dimensions: [("outcome", "completed"), ("currency", "GBP")]).increment(by: 3)
      Counter(label: "payments", dimensions: [("currency", "GBP"), ("outcome", "completed")]).increment()
      Counter(label: "payments", dimensions: [("outcome", "declined"), ("currency", "GBP")]).increment()
      Gauge(label: "pool.connections").record(7)
      Recorder(label: "batch_size").record(10)
      Recorder(label: "batch_size").record(500)
      Metrics.Timer(label: "rpc.duration", dimensions: [("method", "a/B")]).recordMilliseconds(250)
    }
    #expect(
      registry.render() == """
        # TYPE batch_size histogram
        batch_size_bucket{le="1.0"} 0
        batch_size_bucket{le="10.0"} 1
        batch_size_bucket{le="100.0"} 1
        batch_size_bucket{le="+Inf"} 2
        batch_size_sum 510
        batch_size_count 2
        # TYPE payments counter
        # HELP payments Payments by outcome.
        payments_total{currency="GBP",outcome="completed"} 4
        payments_total{currency="GBP",outcome="declined"} 1
        # TYPE pool_connections gauge
        pool_connections 7
        # TYPE rpc_duration_seconds histogram
        # UNIT rpc_duration_seconds seconds
        rpc_duration_seconds_bucket{method="a/B",le="0.1"} 0
        rpc_duration_seconds_bucket{method="a/B",le="1.0"} 1
        rpc_duration_seconds_bucket{method="a/B",le="+Inf"} 1
        rpc_duration_seconds_sum{method="a/B"} 0.25
        rpc_duration_seconds_count{method="a/B"} 1
        # EOF

        """)
  }

  @Test("The older format names counters as they are sampled, and has no units, exemplars or end mark")
  func prometheusFormat() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) {
      Counter(label: "payments_total").increment()
      Metrics.Timer(label: "step_seconds").recordSeconds(1)
    }
    let text = registry.render(.prometheus)
    #expect(text.hasPrefix("# TYPE payments_total counter\npayments_total 1\n# TYPE step_seconds histogram\n"))
    #expect(text.contains(#"step_seconds_bucket{le="1"} 1"#))
    #expect(!text.contains("# UNIT") && !text.contains("# EOF"))
    #expect(ExpositionFormat(accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5") == .openMetrics)
    #expect(ExpositionFormat(accept: nil) == .prometheus)
  }

  @Test("Names are cleaned and values escaped")
  func cleaning() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) {
      Gauge(label: "9 lives.of-a cat", dimensions: [("le", "a\"b\\c\nd"), ("__x", "1"), ("1st", "2")]).record(1)
    }
    #expect(registry.render().contains(#"_9_lives_of_a_cat{_1st="2",exported___x="1",exported_le="a\"b\\c\nd"} 1"#))
  }

  @Test("Counters never go down, gauges go both ways, and nothing that is not a number gets in")
  func values() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) {
      let counter = Counter(label: "c")
      counter.increment(by: -5)
      counter.increment(by: 2)
      let floating = FloatingPointCounter(label: "f")
      floating.increment(by: 0.25)
      floating.increment(by: 2.0)
      floating.increment(by: Double.infinity)
      floating.increment(by: -1)
      let meter = Meter(label: "m")
      meter.set(10)
      meter.decrement(by: 2.5)
      meter.increment(by: Double.nan)
      Recorder(label: "r").record(Double.nan)
    }
    let text = registry.render()
    #expect(text.contains("c_total 2\n"))
    #expect(text.contains("f_total 2.25\n"))
    #expect(text.contains("m 7.5\n"))
    #expect(text.contains("r_count 0\n"))
  }

  @Test("Too many label sets share one series, and the excess is counted")
  func cardinality() {
    let registry = PrometheusRegistry(families: 3, seriesPerFamily: 10)
    withMetricsFactory(registry) {
      for index in 0..<1000 { Counter(label: "by_user", dimensions: [("user", "\(index)")]).increment() }
      for index in 0..<10 { Gauge(label: "family_\(index)").record(1) }
    }
    let lines = registry.render().split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("by_user_total{user=") }.count == 10)
    #expect(lines.contains("by_user_total{overflow=\"true\"} 990"))
    #expect(lines.filter { $0.hasPrefix("family_") }.count == 2)
    #expect(lines.contains("telemetry_overflow_total 998"))
  }

  @Test("One name for two kinds of metric keeps the first")
  func conflict() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) {
      Counter(label: "x").increment()
      Gauge(label: "x").record(5)
    }
    #expect(registry.render().contains("x_total 1\n"))
    #expect(!registry.render().contains("x 5"))
    #expect(registry.render().contains("telemetry_overflow_total 1\n"))
  }

  @Test("A long label value is cut")
  func longValues() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) { Counter(label: "x", dimensions: [("v", String(repeating: "y", count: 100_000))]).increment() }
    #expect(registry.render().utf8.count < 400)
  }

  @Test("A destroyed series is gone, and counts from zero if it comes again")
  func destroying() {
    let registry = PrometheusRegistry()
    withMetricsFactory(registry) {
      let gauge = Gauge(label: "peer", dimensions: [("name", "a")])
      gauge.record(1)
      gauge.destroy()
      #expect(!registry.render().contains("peer{"))
    }
  }

  @Test("A histogram's bucket remembers the trace of an observation that was sampled")
  func exemplars() {
    let registry = PrometheusRegistry(buckets: ["d_seconds": HistogramBuckets([1])])
    withMetricsFactory(registry) {
      ServiceContext.withValue(.continuing(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")) {
        Metrics.Timer(label: "d").recordMilliseconds(500)
      }
    }
    #expect(registry.render().contains("d_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.5 "))
    #expect(!registry.render(.prometheus).contains("trace_id"))
  }

  @Test("Collectors bring gauges up to date before each rendering")
  func collectors() {
    let registry = PrometheusRegistry()
    registry.addCollector { Gauge(label: "fresh", dimensions: [], factory: registry).record(3) }
    #expect(registry.render().contains("fresh 3\n"))
  }

  @Test("Counting from many tasks at once loses nothing", arguments: 0..<5)
  func concurrent(round: Int) async {
    let registry = PrometheusRegistry()
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for index in 0..<1000 {
            Counter(label: "n", dimensions: [("k", "\(index % 3)")], factory: registry).increment()
            Metrics.Timer(label: "t", dimensions: [("task", "\(task)")], factory: registry).recordNanoseconds(1_000_000)
            if index % 500 == 0 { _ = registry.render() }
          }
        }
      }
    }
    let text = registry.render()
    let counted = text.split(separator: "\n").filter { $0.hasPrefix("n_total") }.compactMap { Int($0.split(separator: " ")[1]) }
    #expect(counted.reduce(0, +) == 8000)
    #expect(text.split(separator: "\n").filter { $0.hasPrefix("t_seconds_count") && $0.hasSuffix(" 1000") }.count == 8)
  }
}
