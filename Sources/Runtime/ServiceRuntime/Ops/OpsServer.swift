internal import Hummingbird
internal import Logging
internal import Metrics
internal import Money
internal import NIOCore
internal import ServiceLifecycle
internal import Telemetry

/// Health and metrics over plain HTTP, on loopback only: `/livez`, `/readyz`, `/metrics`.
struct OpsServer: Service {
  let address: HostPort
  let service: String
  let readiness: ReadinessState
  let registry: PrometheusRegistry
  let logger: Logger
  /// Is told the port once it listens.
  var onListening: @Sendable (Int) -> Void = { _ in }

  func run() async throws {
    // The configuration has refused anything else; a bug there must not open a door.
    precondition(address.isLoopback, "the ops port is bound to loopback only")
    let router = Router()
    router.get("/livez") { _, _ in Self.json(.ok, #"{"status":"alive"}"#) }
    router.get("/readyz") { _, _ in await self.readyz() }
    router.get("/metrics") { request, _ in
      let format = ExpositionFormat(accept: request.headers[.accept])
      return Response(
        status: .ok, headers: [.contentType: format.contentType], body: .init(byteBuffer: ByteBuffer(string: self.registry.render(format))))
    }
    // What Hummingbird itself has to say at level info ("Server started…") is not an event of ours.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname(address.host, port: address.port), serverName: nil),
      onServerRunning: { channel in
        let port = channel.localAddress?.port ?? address.port
        logger.info("ops.listening", metadata: ["address": .string(address.host), "port": .stringConvertible(port)])
        onListening(port)
      }, logger: quiet)
    do {
      try await application.run()
    } catch let error as IOError {
      throw ServiceFailure(.configuration, "ops.listen \(address) can't be bound (\(error)): is another process there? Choose another port")
    }
  }

  private func readyz() async -> Response {
    let report = await readiness.report()
    Gauge(label: "service_ready", dimensions: [], factory: registry).record(report.isReady ? 1 : 0)
    let checks = report.lines.map { line in
      #"{"name":\#(JSONText.quoted(line.name)),"ready":\#(line.reason == nil)"#
        + (line.reason.map { #","reason":"# + JSONText.quoted($0) } ?? "") + "}"
    }
    let status = report.isReady ? "ready" : "not_ready"
    return Self.json(
      report.isReady ? .ok : .serviceUnavailable,
      #"{"status":"\#(status)","service":\#(JSONText.quoted(service)),"checks":[\#(checks.joined(separator: ","))]}"#)
  }

  private static func json(_ status: HTTPResponse.Status, _ text: String) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: .init(byteBuffer: ByteBuffer(string: text + "\n")))
  }
}
