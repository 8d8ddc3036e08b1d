import FlorinAPI
import Logging
import MeshProtocol
import Money
import Postgres
import SagaEngine
import ServiceRuntime
import Synchronization

@testable import PaymentService

/// One process of the payment service, without the process: its own instance, tasks and connections, over a shared database and mesh.
struct PaymentProcess: Sendable {
  let orchestrator: PaymentOrchestrator
  let handlers: PaymentHandlers
  let supervisor: Supervisor
  let pool: PostgresPool

  struct Crashed: Error {}

  init(
    _ pool: PostgresPool, _ mesh: ScriptedMesh, limit: Int = 256, tasks: Int = 1024, patience: PaymentCreator.Patience = .init(),
    backoff: SagaBackoff = SagaBackoff(baseMilliseconds: 1, capMilliseconds: 4), clock: any WallClock = SystemWallClock(),
    logger: Logger = Self.silent, failpoint: @escaping @Sendable (SagaFailpoint) throws -> Void = { _ in }
  ) {
    self.pool = pool
    supervisor = Supervisor(limit: tasks, logger: logger)
    orchestrator = PaymentOrchestrator(
      instance: .random(),
      runner: SagaRunner(
        store: SagaStore(pool: pool, lifetime: .standard), participants: mesh.participants, backoff: backoff, clock: clock,
        logger: logger, board: CompletionBoard(), failpoint: failpoint),
      running: RunningSagas(limit: limit), supervisor: supervisor)
    let payments = PaymentStore(pool: pool)
    handlers = PaymentHandlers(
      creator: PaymentCreator(orchestrator: orchestrator, payments: payments, clock: clock, logger: logger, patience: patience),
      payments: payments, traces: TraceStore(pool: pool), logger: logger)
  }

  /// Tests provoke on purpose what people would be alarmed by.
  static let silent = Logger(label: "payment.test") { _ in SwiftLogNoOpLogHandler() }

  static let caller = SPIFFEID(trustDomain: "florin.local", path: "operator/admin")

  /// A payment through the method's own bytes, as the mesh would deliver it.
  func create(
    _ request: PaymentAPI.CreatePaymentRequest, key: String?, by caller: SPIFFEID = Self.caller, within limit: Duration? = .seconds(20)
  ) async throws -> (payment: PaymentAPI.Payment, bytes: [UInt8], trailers: Metadata) {
    let context = CallContext(
      peer: caller, method: PaymentAPI.PaymentsMethods.create.path, deadline: limit.map { .now + $0 }, idempotencyKey: key)
    guard let method = handlers.methods.first(where: { $0.descriptor.path == context.method }) else { throw Crashed() }
    let reply = try await method.handle(try request.serialized(), context)
    return (try PaymentAPI.Payment(serialized: reply.message), reply.message, reply.trailers)
  }

  /// £1.00 or so from ALICE to BOB, under a new key.
  func pay(_ minorUnits: Int64 = 100, within limit: Duration? = .seconds(20)) async throws -> PaymentAPI.Payment {
    try await create(order(minorUnits), key: UUID128.random().description, within: limit).payment
  }

  /// Runs what is open until nothing is. Leases of processes that are gone are cut short, as time would.
  func recoverAll(expiringLeases: Bool = true) async throws {
    for _ in 0..<10_000 {
      await supervisor.waitUntilIdle()
      let open = try await pool.query("SELECT count(*) AS n FROM payment.saga_leases WHERE state = 'running'").first?.int64("n")
      if open == 0 { return }
      if expiringLeases {
        try await pool.query("UPDATE payment.saga_leases SET lease_until = clock_timestamp(), next_attempt_at = clock_timestamp()")
      }
      try await orchestrator.recover()
    }
    throw NeverEnds()
  }

  struct NeverEnds: Error {}
}

func order(_ minorUnits: Int64 = 100, from payer: String = "ALICE", to payee: String = "BOB", currency: String = "GBP")
  -> PaymentAPI.CreatePaymentRequest
{
  PaymentAPI.CreatePaymentRequest(
    payerAccountID: payer, payeeAccountID: payee, amount: TypeAPI.Money(minorUnits: minorUnits, currency: currency))
}

func newKey() -> String { UUID128.random().description }
