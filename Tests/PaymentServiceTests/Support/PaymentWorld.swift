import Migrations
import Money
import Outbox
import Postgres
import PostgresTestKit
import SagaEngine
import Testing

@testable import PaymentService

/// Lets a few tests at a time use the database: dozens of pools at once would only measure how long a log-in takes then.
actor Turnstile {
  static let shared = Turnstile(places: 4)

  private var places: Int
  private var queue: [CheckedContinuation<Void, Never>] = []

  init(places: Int) { self.places = places }

  func enter() async {
    if places > 0 { places -= 1 } else { await withCheckedContinuation { queue.append($0) } }
  }

  func leave() {
    if queue.isEmpty { places += 1 } else { queue.removeFirst().resume() }
  }
}

/// A fresh database of the payment service.
func withPaymentDatabase<R: Sendable>(
  size: Int = 8, _ body: @Sendable (PostgresPool, TestDatabase) async throws -> R
) async throws -> R {
  await Turnstile.shared.enter()
  do {
    let value = try await withOwnDatabase(size, body)
    await Turnstile.shared.leave()
    return value
  } catch {
    await Turnstile.shared.leave()
    throw error
  }
}

private func withOwnDatabase<R: Sendable>(
  _ size: Int, _ body: @Sendable (PostgresPool, TestDatabase) async throws -> R
) async throws -> R {
  let database = try await TestCluster.shared().database("payment", migrations: CommonMigrations.all + PaymentMigrations.all)
  return try await database.withPool(size: size) { try await body($0, database) }
}

/// What must hold of the database and of the participants once every saga is over.
func expectSettled(
  _ pool: PostgresPool, _ mesh: ScriptedMesh, funded: Int64, manual: Int = 0, _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  #expect(mesh.total == funded, comment, sourceLocation: sourceLocation)
  if manual == 0 {
    #expect(mesh.balance("clearing:GBP") == 0, comment, sourceLocation: sourceLocation)
    #expect(mesh.available("BOB") == mesh.balance("BOB"), comment, sourceLocation: sourceLocation)
  }
  let open = try await pool.query("SELECT state FROM payment.saga_leases").map { try $0.text("state") }
  #expect(open == Array(repeating: "manual", count: manual), comment, sourceLocation: sourceLocation)
  let odd = try await pool.query(
    """
    SELECT p.payment_id FROM payment.payments p
    LEFT JOIN payment.payment_outcomes o USING (payment_id)
    LEFT JOIN payment.idempotency_keys k ON k.payment_id = p.payment_id
    LEFT JOIN payment.saga_leases l ON l.saga_id = p.payment_id
    WHERE (o.payment_id IS NULL) = (l.saga_id IS NULL) OR k.payment_id IS NULL OR (k.response IS NULL) = (o.payment_id IS NOT NULL)
    """)
  #expect(odd.isEmpty, comment, sourceLocation: sourceLocation)
  for id in try await pool.query("SELECT payment_id FROM payment.payments").map({ try $0.uuid("payment_id") }) {
    let history = try await history(of: PaymentID(id), pool)
    let machine = try PaymentSaga.catalogue.replay(rows: history)
    #expect(machine.verdict != nil, comment, sourceLocation: sourceLocation)
    let state = try await pool.query("SELECT state FROM payment.payment_states WHERE payment_id = $1", [.uuid(id)]).first?.text("state")
    #expect(machine.verdict?.outcome.state.rawValue == state, comment, sourceLocation: sourceLocation)
  }
  let payments = try await pool.query("SELECT count(*) AS n FROM payment.payments").first?.int64("n") ?? 0
  for action in PaymentAction.allCases {
    // However often it was sent: frozen bytes, one set per payment.
    #expect(mesh.distinctRequests(action) <= Int(payments), comment, sourceLocation: sourceLocation)
  }
}

func history(of id: PaymentID, _ pool: PostgresPool) async throws -> [(sequence: Int, record: SagaEventRecord)] {
  try await pool.query("SELECT * FROM payment.saga_log WHERE saga_id = $1 ORDER BY seq", [.uuid(id.uuid)])
    .map { (Int(try $0.int64("seq")), try SagaEventRecord($0)) }
}

/// "intent screen_payer", "result screen_payer done", …: the story in words.
func story(of id: PaymentID, _ pool: PostgresPool) async throws -> [String] {
  try await pool.query("SELECT kind, step_name, outcome FROM payment.saga_log WHERE saga_id = $1 ORDER BY seq", [.uuid(id.uuid)])
    .map { row in
      let words = [try row.text("kind"), try row.textOrNil("step_name"), try row.textOrNil("outcome")]
      return words.compactMap { $0 }.joined(separator: " ")
    }
}

extension PaymentID {
  init?(_ text: String) {
    guard let uuid = UUID128(text) else { return nil }
    self.init(uuid)
  }
}
