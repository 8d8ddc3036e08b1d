internal import Digest
public import Logging
internal import Money
internal import Outbox
internal import Postgres

/// Checks the invariants of docs/ledger.md and docs/saga.md on the rows themselves, as `auditor`, who can only read.
///
/// The ledger is read in one snapshot, from the first batch to the last, in constant memory per account. The other databases have
/// snapshots of their own, taken so that what must have happened before is read later; so a verification can run beside payments.
public struct Verification: Sendable {
  let targets: VerificationTargets
  let logger: Logger
  /// A payment that is not finished within this many seconds is a violation.
  let unfinishedLimit: Int64

  public init(_ targets: VerificationTargets, unfinishedLimitSeconds: Int64 = 900, logger: Logger) {
    self.targets = targets
    self.logger = logger
    unfinishedLimit = unfinishedLimitSeconds
  }

  /// - Throws: `PostgresError` if a database cannot be read. An invariant that does not hold is not an error: it is in the report.
  public func run() async throws -> VerificationReport {
    let started = SystemWallClock().now
    var tallies: [InvariantTally] = []
    var end: (number: Int64, hash: [UInt8]) = (0, [])
    try await Self.with(targets.ledger, schema: "ledger", logger) { ledger in
      let books = try await ledger.transaction(isolation: .repeatableRead, readOnly: true, retries: 0) { snapshot in
        try await LedgerVerification(snapshot).run()
      }
      end = books.end
      tallies += books.tallies
      try await tallies.append(Self.audit("ledger", ledger))
      try await verifyPayments(books, ledger, &tallies)
    }
    try await verifyAccounts(&tallies)
    return VerificationReport(
      startedAt: started.description, finishedAt: SystemWallClock().now.description,
      passed: tallies.allSatisfy { $0.result.outcome == .passed }, ledgerBatch: end.number, ledgerHash: hexadecimal(end.hash),
      invariants: tallies.map(\.result))
  }

  // MARK: Connections

  /// Lends a connection of its own, read-only, with the schema first in the search path.
  static func with<R>(
    _ configuration: PostgresConfiguration, schema: String, _ logger: Logger, _ body: (PostgresConnection) async throws -> R
  ) async throws -> R {
    var configuration = configuration
    configuration.applicationName = "florin verify"
    configuration.sessionSettings["search_path"] = schema
    configuration.sessionSettings["default_transaction_read_only"] = "on"
    configuration.statementTimeout = .seconds(600)
    configuration.idleInTransactionTimeout = .seconds(600)
    let connection = try await PostgresConnection.connect(configuration, logger: logger)
    do {
      let value = try await body(connection)
      await connection.close()
      return value
    } catch {
      await connection.close()
      throw error
    }
  }

  // MARK: Audit

  static func auditTally(_ service: String) -> InvariantTally {
    InvariantTally("\(service).audit_chain", "the audit log of \(service) is what was written: every hash follows from the row before it")
  }

  static func audit(_ service: String, _ connection: PostgresConnection) async throws -> InvariantTally {
    var tally = auditTally(service)
    let verification = try await AuditLog.verify(in: connection)
    tally.checked = verification.rows
    if let fault = verification.firstFault { tally.violated("audit_log", "lane \(fault.lane) row \(fault.number)", fault.reason) }
    return tally
  }
}
