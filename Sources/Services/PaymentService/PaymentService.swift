internal import Idempotency
internal import Logging
internal import Migrations
internal import Money
internal import SagaEngine
public import ServiceRuntime

/// Payments: takes orders with idempotency keys, and moves the money by a saga over account, ledger and notification.
public enum PaymentService {
  /// Of the process and its reports.
  public static let version = "0.1.0"

  /// What `ServiceMain` runs.
  public static let definition = ServiceDefinition(
    name: "payment", version: version, summary: "Takes payments with idempotency keys and carries each out as a saga.",
    migrations: PaymentMigrations.all,
    settings: [
      ServiceSetting(key: "saga.concurrency", defaultValue: "256", help: "Payments that this process works on at the same time, at most."),
      ServiceSetting(key: "idempotency.hours", defaultValue: "24", help: "How long replies are kept after the end of a payment: 24 to 48."),
    ],
    start: { environment in try start(environment, backoff: SagaBackoff()) })

  static func start(_ environment: ServiceEnvironment, backoff: SagaBackoff) throws -> ServiceParts {
    let settings = try PaymentSettings(environment.configuration.settings)
    let payments = PaymentStore(pool: environment.pool)
    let sagas = SagaStore(pool: environment.pool, lifetime: settings.lifetime)
    let participants = PaymentParticipants(
      account: AccountParticipant(try environment.channel(to: "account")),
      ledger: LedgerParticipant(try environment.channel(to: "ledger")),
      notification: NotificationParticipant(try environment.channel(to: "notification")))
    let orchestrator = PaymentOrchestrator(
      instance: UUID128.random(),
      runner: SagaRunner(
        store: sagas, participants: participants, backoff: backoff, clock: environment.clock, logger: environment.logger,
        board: CompletionBoard()),
      running: RunningSagas(limit: settings.concurrency), supervisor: environment.supervisor)
    let handlers = PaymentHandlers(
      creator: PaymentCreator(orchestrator: orchestrator, payments: payments, clock: environment.clock, logger: environment.logger),
      payments: payments, traces: TraceStore(pool: environment.pool), logger: environment.logger)
    let scanner = RecoveryScanner(orchestrator)
    return ServiceParts(
      methods: handlers.methods,
      background: [Housekeeper(payments: payments, sagas: sagas, logger: environment.logger), scanner],
      readiness: [
        ReadinessCheck(name: "saga_recovery") { scanner.problem.map { "open sagas cannot be looked for: \($0)" } }
      ])
  }
}

/// The settings of this service alone.
struct PaymentSettings: Hashable, Sendable {
  let concurrency: Int
  let lifetime: KeyLifetime

  /// - Throws: `ServiceFailure` (configuration) for a value that is none.
  init(_ settings: [String: String]) throws(ServiceFailure) {
    let concurrency = settings["saga.concurrency"] ?? "256"
    guard let count = Int(concurrency), (1...100_000).contains(count) else {
      throw ServiceFailure(.configuration, "saga.concurrency is '\(concurrency)': give a whole number from 1 to 100000")
    }
    self.concurrency = count
    let hours = settings["idempotency.hours"] ?? "24"
    guard let lifetime = Int64(hours).flatMap(KeyLifetime.init(hours:)) else {
      throw ServiceFailure(.configuration, "idempotency.hours is '\(hours)': give a whole number from 24 to 48")
    }
    self.lifetime = lifetime
  }
}
