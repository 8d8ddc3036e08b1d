import FlorinAPI
import LedgerService
import Logging
import MeshProtocol
import Migrations
import Money
import Outbox
import Postgres
import PostgresTestKit

/// A ledger on a fresh database of a real server, without its process: handlers, sequencer and background tasks.
struct LedgerFixture: Sendable {
  let database: TestDatabase
  let pool: PostgresPool
  let parts: LedgerService.Parts
  let caller: CallContext

  static let migrations: [Migration] = CommonMigrations.all + LedgerMigrations.all

  /// Runs `body` beside a running ledger.
  static func run<R: Sendable>(
    _ database: TestDatabase? = nil, configuration: Sequencer.Configuration = .init(), clock: any WallClock = SystemWallClock(),
    caller: String = "payment", _ body: @Sendable @escaping (LedgerFixture) async throws -> R
  ) async throws -> R {
    let database = if let database { database } else { try await fresh() }
    let pool = PostgresPool(database.configuration(), logger: .silent)
    let parts = LedgerService.assemble(pool: pool, configuration: configuration, clock: clock, logger: .silent)
    let context = CallContext(peer: SPIFFEID(trustDomain: "florin.local", path: caller), method: "test")
    let fixture = LedgerFixture(database: database, pool: pool, parts: parts, caller: context)
    let background = Task {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for service in parts.background { group.addTask { try await service.run() } }
        try await group.waitForAll()
      }
    }
    do {
      try await fixture.waitUntilLive()
      let value = try await body(fixture)
      background.cancel()
      _ = await background.result
      await pool.close()
      return value
    } catch {
      background.cancel()
      _ = await background.result
      await pool.close()
      throw error
    }
  }

  static func fresh() async throws -> TestDatabase {
    try await TestCluster.shared().database("ledger", migrations: migrations)
  }

  func waitUntilLive() async throws {
    for _ in 0..<1500 {
      if parts.unreadiness() == nil { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw FixtureError("the sequencer did not come up: \(parts.unreadiness() ?? "")")
  }

  // MARK: Calls

  @discardableResult
  func post(_ postings: [LedgerAPI.Posting], linked: Bool = false) async throws -> [LedgerAPI.PostingResult] {
    let request = LedgerAPI.PostRequest(postings: postings, linked: linked)
    return try await parts.handlers.post(request, context: caller).message.results
  }

  @discardableResult
  func post(_ posting: LedgerAPI.Posting) async throws -> LedgerAPI.PostingResult { try await post([posting])[0] }

  @discardableResult
  func open(_ account: String, currency: String = "GBP", event: UUID128 = .random()) async throws -> LedgerAPI.AccountCommandResponse {
    let request = LedgerAPI.OpenLedgerAccountRequest(
      eventID: event.description, accountID: account, currency: currency, policy: .limited)
    return try await parts.handlers.openAccount(request, context: caller).message
  }

  @discardableResult
  func setStatus(
    _ account: String, _ status: LedgerAPI.AccountStatus, event: UUID128 = .random()
  ) async throws -> LedgerAPI.AccountCommandResponse {
    let request = LedgerAPI.SetAccountStatusRequest(eventID: event.description, accountID: account, status: status)
    return try await parts.handlers.setAccountStatus(request, context: caller).message
  }

  @discardableResult
  func fund(_ account: String, _ amount: Int64, currency: String = "GBP") async throws -> LedgerAPI.PostingResult {
    let request = LedgerAPI.FundRequest(
      transferID: Make.id(), accountID: account, amount: TypeAPI.Money(minorUnits: amount, currency: currency))
    return try await parts.handlers.fund(request, context: caller).message.results[0]
  }

  func balance(_ account: String, at instant: Int64 = 0) async throws -> LedgerAPI.GetBalanceResponse {
    try await parts.handlers.getBalance(
      LedgerAPI.GetBalanceRequest(accountID: account, atUnixMicroseconds: instant), context: caller
    ).message
  }

  func posted(_ account: String) async throws -> Int64 { try await balance(account).posted?.minorUnits ?? .min }

  func statement(
    _ account: String, from: Int64 = 0, to: Int64 = 0, limit: UInt32 = 0, after: UInt64 = 0
  ) async throws -> LedgerAPI.GetStatementResponse {
    try await parts.handlers.getStatement(
      LedgerAPI.GetStatementRequest(
        accountID: account, fromUnixMicroseconds: from, toUnixMicroseconds: to, limit: limit, afterSequence: after), context: caller
    ).message
  }

  func transfer(_ id: String) async throws -> LedgerAPI.TransferRecord {
    try await parts.handlers.getTransfer(LedgerAPI.GetTransferRequest(transferID: id), context: caller).message
  }

  /// A number out of the database, as superuser.
  func number(_ sql: StaticString, _ parameters: [SQLValue] = []) async throws -> Int64 {
    let connection = try await database.connect(as: .superuser)
    let value = try await connection.query(sql, parameters).first?.int64("n")
    await connection.close()
    return value ?? .min
  }

  /// As the superuser, behind the service's back.
  func sql(_ script: String) async throws -> String {
    let name = database.name
    return try await database.cluster.administer { try $0.psql(script, database: name) }
  }
}

struct FixtureError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension RPCResponse {
  var message: Message {
    get throws {
      guard case .message(let message) = body else { throw FixtureError("an encoded answer") }
      return message
    }
  }
}

extension Logger {
  /// Nothing at all: these tests break things on purpose.
  static var silent: Logger { Logger(label: "florin.test") { _ in SwiftLogNoOpLogHandler() } }
}
