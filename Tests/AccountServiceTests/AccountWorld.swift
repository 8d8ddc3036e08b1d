import FlorinAPI
import Logging
import MeshProtocol
import Migrations
import Money
import Outbox
import Postgres
import PostgresTestKit
import ServiceRuntime
import Testing

@testable import AccountService

/// The account service on a real, fresh database, with a fake ledger beside it.
struct AccountWorld: Sendable {
  let database: TestDatabase
  let pool: PostgresPool
  let ledger: FakeLedger
  let supervisor: Supervisor
  let parts: ServiceParts

  static func with(_ body: @Sendable (AccountWorld) async throws -> Void) async throws {
    let database = try await TestCluster.shared().database(
      "account", migrations: CommonMigrations.all + AccountService.definition.migrations)
    try await database.withPool { pool in
      let ledger = FakeLedger()
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      let supervisor = Supervisor(logger: logger)
      let nowhere = HostPort(host: "127.0.0.1", port: 1)
      let environment = ServiceEnvironment(
        name: "account",
        configuration: ServiceConfiguration(
          listen: nowhere, opsListen: nowhere, identityDirectory: "", policyFile: "",
          database: .init(host: "127.0.0.1", port: 1, name: database.name)),
        pool: pool, logger: logger, clock: SystemWallClock(), supervisor: supervisor
      ) { service in
        guard service == "ledger" else { throw ServiceFailure(.configuration, "account calls nobody but the ledger") }
        return ledger
      }
      let parts = try await AccountService.definition.start(environment)
      try await body(AccountWorld(database: database, pool: pool, ledger: ledger, supervisor: supervisor, parts: parts))
      ledger.health = .up
      await supervisor.waitUntilIdle()
    }
  }

  func accounts(as peer: String = "operator/admin") -> AccountAPI.AccountsClient {
    AccountAPI.AccountsClient(DirectChannel(methods: parts.methods, peer: peer))
  }

  func reconciler() throws -> Reconciler { try #require(parts.background.compactMap { $0 as? Reconciler }.first) }

  func open(
    reference: String = "customer:1", currency: String = "GBP", key: UUID128 = .random(), as peer: String = "operator/admin"
  ) async throws -> DecodedReply<AccountAPI.Account> {
    try await accounts(as: peer).openReply(
      AccountAPI.OpenAccountRequest(reference: reference, currency: currency), options: CallOptions(idempotencyKey: key.description))
  }

  func status(of id: String) async throws -> AccountAPI.AccountStatus {
    try await accounts().get(AccountAPI.GetAccountRequest(accountID: id)).status
  }

  func change(_ change: AccountChange, _ id: String, reason: String = "customer_request") async throws -> AccountAPI.Account {
    let request = AccountAPI.ChangeStatusRequest(accountID: id, reason: reason)
    return switch change {
    case .freeze: try await accounts().freeze(request)
    case .unfreeze: try await accounts().unfreeze(request)
    case .close: try await accounts().close(request)
    case .open: throw RPCError(.unimplemented, "use open")
    }
  }

  /// Lets the reconciler believe that its time has come.
  func makeEventsDue() async throws {
    let connection = try await database.connect(as: .superuser)
    try await connection.query("UPDATE account.event_queue SET next_attempt_at = clock_timestamp()")
    await connection.close()
  }

  func count(_ sql: StaticString, _ parameters: [SQLValue] = []) async throws -> Int64 {
    try await #require(try pool.query(sql, parameters).first).int64("count")
  }

  /// The audit chain is whole, and its actions are these, in order, for the subject.
  func auditActions(of subject: String) async throws -> [String] {
    #expect(try await AuditLog.verify(in: pool).firstFault == nil)
    return try await pool.query("SELECT action FROM audit_log WHERE subject = $1 ORDER BY lane_number", [.text(subject)])
      .map { try $0.text("action") }
  }

  func outboxTypes(of aggregate: String) async throws -> [String] {
    try await pool.query("SELECT type FROM outbox WHERE aggregate = $1 ORDER BY id", [.text(aggregate)]).map { try $0.text("type") }
  }
}

/// The RPCError of a call that must fail.
func refusal(_ call: @Sendable () async throws -> Void) async -> RPCError? {
  do {
    try await call()
    Issue.record("the call should have been refused")
    return nil
  } catch let error as RPCError { return error } catch {
    Issue.record("not an RPCError: \(error)")
    return nil
  }
}

/// The call must fail with this code, this reason, or both.
func expectRefusal(
  _ code: RPCCode? = nil, reason: String? = nil, sourceLocation: SourceLocation = #_sourceLocation,
  _ call: @Sendable () async throws -> Void
) async {
  let error = await refusal(call)
  if let code { #expect(error?.code == code, sourceLocation: sourceLocation) }
  if let reason { #expect(error?.trailers["reason"] == reason, sourceLocation: sourceLocation) }
}
