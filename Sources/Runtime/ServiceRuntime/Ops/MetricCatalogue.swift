internal import Telemetry

/// What the metrics mean, in one sentence each, for `/metrics` and docs/operations.md.
enum MetricCatalogue {
  static let help: [(name: String, help: String)] = [
    ("florin_build_info", "Always 1; the labels say which build of which service this is."),
    ("mesh_connections_refused", "Connections that were not taken, by reason."),
    ("otlp_export_retries", "Requests to the OpenTelemetry collector that have to be made again."),
    ("otlp_spans_dropped", "Spans that the collector will never get, by reason."),
    ("otlp_spans_exported", "Spans that the collector took."),
    ("postgres_connect_failures", "Connections to PostgreSQL that could not be made."),
    ("postgres_pool_connections", "Connections of the pool, by state."),
    ("postgres_pool_exhausted", "Callers who got no connection in time."),
    ("postgres_pool_wait_duration", "How long callers waited for a connection."),
    ("postgres_pool_waiting", "Callers who wait for a connection."),
    ("postgres_statement_duration", "Statements by outcome."),
    ("postgres_transaction_retries", "Transactions run again after a serialization failure or a deadlock."),
    ("process_cpu_seconds", "CPU time spent, user and system."),
    ("process_open_fds", "Open file descriptors."),
    ("process_resident_memory_bytes", "Resident memory."),
    ("process_start_time_seconds", "When the process started, in seconds since 1970."),
    ("process_threads", "Threads."),
    ("rpc_client_calls_total", "Calls made, by method and status code."),
    ("rpc_client_duration_seconds", "How long calls made took, retries included."),
    ("rpc_denied_total", "Calls that the policy does not grant."),
    ("rpc_server_calls_total", "Calls answered, by method and status code."),
    ("rpc_server_duration_seconds", "How long answering took."),
    ("service_ready", "1 if this process should be sent calls, else 0; as of the last question to /readyz."),
    ("supervisor_refused", "Work that was refused because the limit of supervised tasks was reached, or at shutdown."),
    ("supervisor_task_duration", "Supervised tasks that ended, by outcome."),
    ("supervisor_tasks", "Supervised tasks that run."),
    ("tls_certificate_not_after_seconds", "When this process's certificate expires, in seconds since 1970."),
  ]

  static func describe(in registry: PrometheusRegistry) {
    for (name, help) in help { registry.describe(name, help) }
  }
}
