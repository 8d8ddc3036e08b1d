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

@testable import NotificationService

/// The notification service on a real, fresh database.
struct NotificationWorld: Sendable {
  let database: TestDatabase
  let pool: PostgresPool
  let client: NotificationAPI.NotificationsClient
  let operatorClient: NotificationAPI.NotificationsClient

  static func with(_ body: @Sendable (NotificationWorld) async throws -> Void) async throws {
    let database = try await TestCluster.shared().database(
      "notification", migrations: CommonMigrations.all + NotificationService.definition.migrations)
    try await database.withPool { pool in
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      let nowhere = HostPort(host: "127.0.0.1", port: 1)
      let environment = ServiceEnvironment(
        name: "notification",
        configuration: ServiceConfiguration(
          listen: nowhere, opsListen: nowhere, identityDirectory: "", policyFile: "",
          database: .init(host: "127.0.0.1", port: 1, name: database.name)),
        pool: pool, logger: logger, clock: SystemWallClock(), supervisor: Supervisor(logger: logger)
      ) { _ in throw ServiceFailure(.configuration, "notification calls nobody") }
      let parts = try await NotificationService.definition.start(environment)
      try await body(
        NotificationWorld(
          database: database, pool: pool, client: .init(DirectChannel(methods: parts.methods)),
          operatorClient: .init(DirectChannel(methods: parts.methods, peer: "operator/admin"))))
    }
  }

  func confirmation(
    payment: UUID128 = .random(), payer: String = "ACCPAYER", payee: String = "ACCPAYEE", minorUnits: Int64 = 100_00
  ) -> NotificationAPI.SubmitRequest {
    NotificationAPI.SubmitRequest(
      stepID: UUID128.random().description, kind: .confirmation, paymentID: payment.description, payerAccountID: payer,
      payeeAccountID: payee, amount: .init(minorUnits: minorUnits, currency: "GBP"))
  }

  func reversal(of confirmation: NotificationAPI.SubmitRequest) -> NotificationAPI.SubmitRequest {
    var reversal = confirmation
    reversal.stepID = UUID128.random().description
    reversal.kind = .reversal
    reversal.reversesStepID = confirmation.stepID
    return reversal
  }

  func suppress(_ account: String, _ suppressed: Bool = true, reason: String = "returned_mail") async throws {
    _ = try await operatorClient.setSuppression(.init(accountID: account, suppressed: suppressed, reason: reason))
  }

  func count(_ sql: StaticString) async throws -> Int64 { try await #require(try pool.query(sql).first).int64("count") }

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
