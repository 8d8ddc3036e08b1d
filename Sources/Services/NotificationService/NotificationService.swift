internal import FlorinAPI
public import ServiceRuntime

/// What customers are to be told: accepts confirmations and reversals, once each, and keeps them.
public enum NotificationService {
  public static let definition = ServiceDefinition(
    name: "notification", version: "0.1.0", summary: "Accepts and keeps what customers are to be told about payments.",
    migrations: NotificationMigrations.all,
    start: { environment in
      let handlers = NotificationHandlers(
        steps: StepStore(pool: environment.pool), suppressions: SuppressionStore(pool: environment.pool), clock: environment.clock,
        logger: environment.logger)
      return ServiceParts(methods: handlers.methods)
    })
}
