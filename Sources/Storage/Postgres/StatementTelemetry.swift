internal import Metrics
internal import Tracing

/// Spans and figures of statements. A span is made only within a trace, so that background polling starts none.
struct StatementTelemetry: Sendable {
  private let database: String
  private let succeeded: Metrics.Timer
  private let failed: Metrics.Timer
  private let retries: Counter

  init(database: String) {
    self.database = database
    succeeded = Metrics.Timer(label: "postgres_statement_duration", dimensions: [("database", database), ("outcome", "ok")])
    failed = Metrics.Timer(label: "postgres_statement_duration", dimensions: [("database", database), ("outcome", "error")])
    retries = Counter(label: "postgres_transaction_retries", dimensions: [("database", database)])
  }

  func retried() { retries.increment() }

  func start(_ name: String, _ statements: [SQLStatement]) -> Measured {
    var span: (any Span)?
    if ServiceContext.current != nil, let first = statements.first {
      span = startSpan(name, ofKind: .client)
      span?.attributes["db.system.name"] = "postgresql"
      span?.attributes["db.namespace"] = database
      // Statements hold no values, so their text may be shown.
      span?.attributes["db.query.text"] = first.sql.description
      span?.attributes["db.operation.batch.size"] = statements.count
    }
    return Measured(span: span, start: .now, telemetry: self)
  }

  struct Measured: Sendable {
    let span: (any Span)?
    let start: ContinuousClock.Instant
    let telemetry: StatementTelemetry

    func end(_ error: PostgresError?) {
      (error == nil ? telemetry.succeeded : telemetry.failed).record(duration: start.duration(to: .now))
      guard let span else { return }
      if let error {
        span.attributes["db.response.status_code"] = error.sqlState ?? "\(error.code)"
        span.setStatus(SpanStatus(code: .error, message: error.sqlState ?? "\(error.code)"))
      }
      span.end()
    }
  }
}
