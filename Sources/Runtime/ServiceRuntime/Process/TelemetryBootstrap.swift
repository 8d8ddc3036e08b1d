internal import Logging
internal import Metrics
internal import Synchronization
internal import Telemetry
internal import Tracing

/// Installs logging, metrics and tracing. The three systems can be installed once in a process; a second call gets what the
/// first installed (that is the case in tests only).
enum TelemetryBootstrap {
  private static let installed = Mutex<PrometheusRegistry?>(nil)

  static func install(
    service: String, version: String, level: Logger.Level, sink: (any SpanSink)?, sampler: TraceSampler
  ) -> PrometheusRegistry {
    installed.withLock { installed in
      if let installed { return installed }
      let registry = PrometheusRegistry()
      LoggingSystem.bootstrap { label in JSONLogHandler(label: label, service: service, level: level) }
      MetricsSystem.bootstrap(registry)
      InstrumentationSystem.bootstrap(FlorinTracer(sink: sink, sampler: sampler))
      MetricCatalogue.describe(in: registry)
      ProcessMetrics(registry: registry, service: service, version: version).install()
      installed = registry
      return registry
    }
  }
}
