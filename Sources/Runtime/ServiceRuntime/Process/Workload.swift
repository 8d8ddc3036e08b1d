internal import Logging
internal import MeshProtocol
internal import MeshServer
internal import Metrics
internal import Money
internal import Outbox
internal import Postgres
internal import ServiceLifecycle

/// The service itself: waits for its database, starts, then runs its background work and answers the mesh until shutdown.
struct Workload: Service {
  let definition: ServiceDefinition
  let environment: ServiceEnvironment
  let readiness: ReadinessState
  let policy: Policy
  let tls: ServiceTLS
  let watchdog: ShutdownWatchdog

  private var configuration: ServiceConfiguration { environment.configuration }
  private var logger: Logger { environment.logger }

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await waitAndServe()
    } onGracefulShutdown: {
      readiness.shuttingDown()
      logger.info("service.stopping")
      watchdog.arm(ServiceProcess.Limits.shutdown, logger)
    }
    // Ending is only right when it was asked for.
    guard Task.isShuttingDownGracefully || Task.isCancelled else {
      throw ServiceFailure(.internalBug, "\(definition.name) ended without having been asked to")
    }
  }

  private func waitAndServe() async throws {
    let gate = DatabaseGate(
      service: definition.name, migrations: definition.allMigrations, pool: environment.pool, readiness: readiness, logger: logger)
    do {
      try await cancelWhenGracefulShutdown { try await gate.waitUntilUsable() }
    } catch is CancellationError {
      return
    }
    readiness.starting("the service is starting")
    let parts = try await definition.start(environment)
    let server = try MeshServer(configuration: serverConfiguration, methods: parts.methods.map(bindingDeadline)) { [denials] call in
      await denials.record(call)
    }
    let months = MonthKeeper(pool: environment.pool, logger: logger)
    let services: [any Service] =
      [months] + parts.background.map { Lasting(service: $0, owner: definition.name) } + [
        Announcement(workload: self, server: server, parts: parts), server,
      ]
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { service in
          ServiceGroupConfiguration.ServiceConfiguration(
            service: service, successTerminationBehavior: .cancelGroup, failureTerminationBehavior: .gracefullyShutdownGroup)
        }, logger: quiet))
    try await group.run()
  }

  private var quiet: Logger {
    var quiet = logger
    quiet.logLevel = max(configuration.logLevel, .warning)
    return quiet
  }

  private var denials: DenialAudit { DenialAudit(pool: environment.pool, logger: logger, clock: environment.clock) }

  private var serverConfiguration: MeshServerConfiguration {
    var server = MeshServerConfiguration(
      host: configuration.listen.host, port: configuration.listen.port, tls: tls.server, policy: policy, logger: logger,
      build: definition.name + "/" + definition.version)
    server.drainLimit = ServiceProcess.Limits.serverDrain
    return server
  }

  /// Statements take their limit from the call's deadline.
  private func bindingDeadline(_ method: RPCMethod) -> RPCMethod {
    RPCMethod(method.descriptor) { request, context in
      try await Deadline.$current.withValue(context.deadline) { try await method.handle(request, context) }
    }
  }

  /// Background work that ends by itself is work that is missing from then on: the process ends with it, and is restarted.
  private struct Lasting: Service {
    let service: any Service
    let owner: String

    func run() async throws {
      try await service.run()
      guard Task.isShuttingDownGracefully || Task.isCancelled else {
        throw ServiceFailure(.internalBug, "background work of \(owner) ended without having been asked to: \(type(of: service))")
      }
    }
  }

  /// Says that the service takes calls once it really listens.
  private struct Announcement: Service {
    let workload: Workload
    let server: MeshServer
    let parts: ServiceParts

    func run() async throws {
      await cancelWhenGracefulShutdown {
        if let port = await server.listening() { await workload.announce(port, parts) }
      }
      try? await gracefulShutdown()
    }
  }

  private func announce(_ port: Int, _ parts: ServiceParts) async {
    let (pool, tls, clock) = (environment.pool, tls, environment.clock)
    Gauge(label: "tls_certificate_not_after_seconds").record(tls.server().notAfter.milliseconds / 1000)
    let own = [
      ReadinessCheck(name: "database") { await pool.unavailability() },
      ReadinessCheck(name: "certificate") {
        let notAfter = tls.server().notAfter
        return notAfter > clock.now ? nil : "the certificate expired at \(notAfter): issue a new one"
      },
    ]
    readiness.started(own + parts.readiness)
    logger.info("service.ready", metadata: ["listen": .string(configuration.listen.host), "port": .stringConvertible(port)])
  }
}
