internal import FlorinAPI
package import Logging
internal import MeshProtocol
package import Money
package import Postgres
public import ServiceRuntime
package import ServiceLifecycle

/// The ledger: append-only, double-entry, one writer. See docs/ledger.md.
public enum LedgerService {
  public static let definition = ServiceDefinition(
    name: "ledger", version: "0.1.0",
    summary: "The append-only, double-entry ledger: one writer, balances derived from entries, hashed batches.",
    migrations: LedgerMigrations.all
  ) { environment in
    let parts = assemble(pool: environment.pool, clock: environment.clock, logger: environment.logger)
    return ServiceParts(
      methods: parts.handlers.methods, background: parts.background,
      readiness: [ReadinessCheck(name: "sequencer") { parts.unreadiness() }])
  }

  /// The service without its process: for `definition` and for tests.
  package struct Parts: Sendable {
    package let handlers: LedgerHandlers
    package let sequencer: Sequencer
    package let background: [any Service]

    /// Nil if the sequencer writes, else why not.
    package func unreadiness() -> String? {
      switch sequencer.status.snapshot.phase {
      case .live: nil
      case .starting: "the sequencer is starting"
      case .halted(let why): "the sequencer is halted: \(why)"
      }
    }
  }

  package static func assemble(
    pool: PostgresPool, configuration: Sequencer.Configuration = .init(), clock: any WallClock, logger: Logger
  ) -> Parts {
    // Stale statistics turn the probe for a tail into "fetch all and sort"; see docs/ledger.md, Reading.
    var database = pool.configuration
    database.applicationName = "ledger sequencer"
    database.sessionSettings["enable_sort"] = "off"
    database.sessionSettings["enable_bitmapscan"] = "off"
    database.sessionSettings["plan_cache_mode"] = "force_generic_plan"
    let checkpoints = CheckpointWriter(pool: pool, logger: logger)
    let status = SequencerStatus()
    let sequencer = Sequencer(
      database: database, configuration: configuration, owner: "\(UUID128.random())", clock: clock, checkpoints: checkpoints,
      status: status, logger: logger)
    let handlers = LedgerHandlers(sequencer: sequencer, reads: LedgerReads(pool: pool), clock: clock)
    // Stopped in reverse: the months first, then the sequencer finishes its queue, then the last checkpoints are written.
    return Parts(
      handlers: handlers, sequencer: sequencer,
      background: [checkpoints, sequencer, LedgerMonths(pool: pool, status: status, logger: logger)])
  }
}
