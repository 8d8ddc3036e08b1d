internal import FlorinAPI
internal import Money
public import ServiceRuntime

/// Who may hold money: opens, freezes and closes accounts, and judges the payer of each payment.
public enum AccountService {
  public static let definition = ServiceDefinition(
    name: "account", version: "0.1.0", summary: "Opens and closes accounts, and judges the payer of each payment.",
    migrations: AccountMigrations.all,
    start: { environment in
      let store = AccountStore(pool: environment.pool)
      let driver = ChangeDriver(
        store: store, ledger: LedgerGateway(try environment.channel(to: "ledger")), supervisor: environment.supervisor,
        clock: environment.clock, logger: environment.logger)
      let handlers = AccountHandlers(
        store: store, steps: StepStore(pool: environment.pool), driver: driver, clock: environment.clock, logger: environment.logger)
      return ServiceParts(
        methods: handlers.methods,
        background: [Reconciler(store: store, driver: driver, logger: environment.logger)])
    })
}
