internal import FlorinAPI
internal import Glibc
internal import Logging
internal import MeshClient
internal import MeshProtocol
internal import MeshServer
internal import MeshTLS
internal import Metrics
internal import Money
internal import OTLPExport
internal import Postgres
internal import ServiceLifecycle
internal import Telemetry

/// One process of a service, from its configuration to its end.
///
/// What runs, in this order; shut down in reverse: ops port, span exporter, pool, channels to peers, supervisor, workload (the
/// service's background work and the mesh server), lifeline. So on SIGTERM the process first says that it is not ready, stops
/// accepting, answers what it has accepted, lets background and supervised work end, and only then closes channels and pool; health
/// can be asked to the last.
struct ServiceProcess {
  /// Together they stay below the ten seconds that a runner gives before it kills.
  enum Limits {
    static let serverDrain = Duration.seconds(3)
    static let supervisorDrain = Duration.seconds(3)
    static let channelDrain = Duration.seconds(1)
    static let shutdown = Duration.milliseconds(9500)
  }

  let definition: ServiceDefinition
  let configuration: ServiceConfiguration

  init(_ definition: ServiceDefinition, _ configuration: ServiceConfiguration) {
    self.definition = definition
    self.configuration = configuration
  }

  /// Returns after a graceful shutdown.
  /// - Throws: what `ServiceFailure(describing:)` turns into an exit code.
  func serve() async throws {
    // A peer that hangs up is an error of one write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    let name = definition.name
    // Everything that needs no network is checked first, so that a mistake shows at once and in words.
    let identity = try TLSIdentity(IdentityFiles(directory: configuration.identityDirectory), roles: [.client, .server])
    let contexts = try ServiceTLS(identity, service: name)
    let policy = try Policy.load(file: configuration.policyFile, knownMethods: KnownMethods.all)
    let exporter = try makeExporter()
    let registry = TelemetryBootstrap.install(
      service: name, version: definition.version, level: configuration.logLevel, sink: exporter,
      sampler: TraceSampler(partsPerMillion: configuration.traceSamplePartsPerMillion))
    let logger = Logger(label: name)
    logger.info(
      "service.starting",
      metadata: [
        "version": .string(definition.version), "pid": .stringConvertible(getpid()), "identity": .string(contexts.id.description),
        "database": .string("\(configuration.database.host):\(configuration.database.port)/\(configuration.database.name)"),
      ])
    let readiness = ReadinessState()
    let pool = PostgresPool(poolConfiguration, logger: logger)
    let channels = makeChannels(contexts, logger)
    let supervisor = Supervisor(drainLimit: Limits.supervisorDrain, logger: logger)
    let environment = ServiceEnvironment(
      name: name, configuration: configuration, pool: pool, logger: logger, clock: SystemWallClock(), supervisor: supervisor,
      channels: { peer in
        guard let channel = channels[peer] else {
          throw ServiceFailure(
            .configuration, "\(name) needs the service '\(peer)': set peers.\(peer) (or --peers-\(peer)) to its host:port")
        }
        return channel
      })
    let watchdog = ShutdownWatchdog()
    defer { watchdog.disarm() }
    let workload = Workload(
      definition: definition, environment: environment, readiness: readiness, policy: policy, tls: contexts,
      watchdog: watchdog)

    var services: [any Service] = [
      OpsServer(address: configuration.opsListen, service: name, readiness: readiness, registry: registry, logger: logger)
    ]
    if let exporter { services.append(exporter) }
    services.append(pool)
    services += channels.sorted { $0.key < $1.key }.map(\.value)
    services += [supervisor, workload]
    if let descriptor = configuration.lifelineDescriptor { services.append(LifelineWatcher(descriptor: descriptor, logger: logger)) }
    // The group's own remarks are about tasks and signals, not about payments.
    var quiet = logger
    quiet.logLevel = max(configuration.logLevel, .warning)
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { service in
          ServiceGroupConfiguration.ServiceConfiguration(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup, failureTerminationBehavior: .gracefullyShutdownGroup)
        }, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
    do {
      try await group.run()
      logger.info("service.stopped")
    } catch {
      let failure = ServiceFailure(describing: error)
      logger.critical(
        "service.failed", metadata: ["exit_code": .stringConvertible(failure.code.rawValue), "detail": .string(failure.message)])
      throw failure
    }
  }

  private var poolConfiguration: PostgresConfiguration {
    PostgresConfiguration(
      host: configuration.database.host, port: configuration.database.port, database: configuration.database.name,
      user: definition.name + "_service", identityDirectory: configuration.identityDirectory, applicationName: "florin-" + definition.name,
      poolSize: configuration.database.poolSize)
  }

  private func makeExporter() throws(OTLPError) -> OTLPSpanExporter? {
    guard let endpoint = configuration.otlpEndpoint else { return nil }
    let options = try OTLPConfiguration(endpoint: endpoint, service: definition.name, version: definition.version)
    // The logging system is not there yet; a logger that is made now would be the default one for good.
    let (name, level) = (definition.name, configuration.logLevel)
    return OTLPSpanExporter(options, logger: Logger(label: name) { JSONLogHandler(label: $0, service: name, level: level) })
  }

  private func makeChannels(_ tls: ServiceTLS, _ logger: Logger) -> [String: MeshChannel] {
    var channels: [String: MeshChannel] = [:]
    for (peer, address) in configuration.peers {
      var options = MeshChannelConfiguration(
        targets: [MeshAddress(host: address.host, port: address.port)],
        expectedPeer: SPIFFEID(trustDomain: tls.id.trustDomain, path: peer), tls: tls.client, logger: logger, build: build)
      options.drainLimit = Limits.channelDrain
      channels[peer] = MeshChannel(configuration: options)
    }
    return channels
  }

  private var build: String { definition.name + "/" + definition.version }
}

/// All methods of the house, by path: the policy may speak of no others.
private enum KnownMethods {
  static let all: [String] =
    (AccountAPI.AccountsMethods.all + LedgerAPI.LedgerMethods.all + PaymentAPI.PaymentsMethods.all
    + NotificationAPI.NotificationsMethods.all)
    .map(\.path)
}
