import FlorinAPI
import MeshProtocol
import Money
import Testing

@testable import AccountService

@Suite struct OpeningTests {
  @Test("an account is opened here and in the ledger, under one id")
  func open() async throws {
    try await AccountWorld.with { (world) async throws in
      let reply = try await world.open(reference: "crm:42")
      let account = reply.message
      #expect(account.status == .open)
      #expect(account.reference == "crm:42")
      #expect(account.currency == "GBP")
      #expect(account.accountID.wholeMatch(of: /ACC[0-9A-HJKMNP-TV-Z]{12}/) != nil)
      #expect(reply.trailers["idempotent-replayed"] == nil)
      #expect(world.ledger.posted.map(\.accountID) == [account.accountID])
      #expect(account.changedAtUnixMicroseconds == world.ledger.posted.first?.response.bookedAtUnixMicroseconds)
      #expect(try await world.accounts().get(.init(accountID: account.accountID)) == account)
      #expect(try await world.auditActions(of: "account/\(account.accountID)") == ["account.open_requested", "account.open_posted"])
      #expect(try await world.outboxTypes(of: account.accountID) == ["account.open_requested", "account.open_posted"])
    }
  }

  @Test("the same key with the same request is the same account, however often it is sent")
  func replay() async throws {
    try await AccountWorld.with { (world) async throws in
      let key = UUID128.random()
      let first = try await world.open(key: key)
      for _ in 0..<5 {
        let again = try await world.open(key: key)
        #expect(again.message == first.message)
        #expect(again.trailers["idempotent-replayed"] == "true")
      }
      #expect(world.ledger.decisions.count == 1)
      #expect(try await world.count("SELECT count(*) FROM account.accounts") == 1)
      #expect(try await world.auditActions(of: "account/\(first.message.accountID)").count == 2)
    }
  }

  @Test("twenty requests with one key at the same time open one account")
  func concurrentReplay() async throws {
    try await AccountWorld.with { (world) async throws in
      for _ in 0..<3 {
        let key = UUID128.random()
        let before = world.ledger.decisions.count
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
          for _ in 0..<20 { group.addTask { () async throws in try await world.open(key: key).message.accountID } }
          return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(world.ledger.decisions.count == before + 1)
      }
    }
  }

  @Test("the same key with another request is refused")
  func keyReused() async throws {
    try await AccountWorld.with { (world) async throws in
      let key = UUID128.random()
      _ = try await world.open(reference: "one", key: key)
      let other = await refusal { _ = try await world.open(reference: "two", key: key) }
      #expect(other?.code == .failedPrecondition)
      #expect(other?.trailers["reason"] == "idempotency_key_reused")
      let currency = await refusal { _ = try await world.open(reference: "one", currency: "EUR", key: key) }
      #expect(currency?.trailers["reason"] == "idempotency_key_reused")
      #expect(world.ledger.decisions.count == 1)
    }
  }

  @Test("keys belong to who sends them: another caller's account is another one")
  func keysOfCallers() async throws {
    try await AccountWorld.with { (world) async throws in
      let key = UUID128.random()
      let one = try await world.open(key: key, as: "operator/alice").message.accountID
      let other = try await world.open(key: key, as: "operator/bob").message.accountID
      #expect(one != other)
    }
  }

  @Test("an account's id follows from caller and key alone")
  func accountNumber() throws {
    let key = try #require(IdempotencyKey("7c9e6679-7425-40de-944b-e07fc1f90ae7"))
    let id = AccountNumber.make(caller: "spiffe://florin.local/operator/admin", key: key)
    #expect(id == AccountNumber.make(caller: "spiffe://florin.local/operator/admin", key: key))
    #expect(id != AccountNumber.make(caller: "spiffe://florin.local/operator/bob", key: key))
    #expect(id.name.count == 15)
  }

  struct BadOpening: Sendable {
    var reference = "customer:1"
    var currency = "GBP"
    var key: String? = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    var reason: String
  }

  @Test(
    "a bad request is refused with its reason, and nothing is stored",
    arguments: [
      BadOpening(key: nil, reason: "idempotency_key_missing"),
      BadOpening(key: "", reason: "idempotency_key_missing"),
      BadOpening(key: "not-a-uuid", reason: "idempotency_key_not_uuid_v4"),
      // Version 1, and version 4 of another variant.
      BadOpening(key: "7c9e6679-7425-10de-944b-e07fc1f90ae7", reason: "idempotency_key_not_uuid_v4"),
      BadOpening(key: "7c9e6679-7425-40de-c44b-e07fc1f90ae7", reason: "idempotency_key_not_uuid_v4"),
      BadOpening(reference: "", reason: "reference_invalid"),
      BadOpening(reference: "Ada Lovelace", reason: "reference_invalid"),
      BadOpening(reference: "ada@example.org", reason: "reference_invalid"),
      BadOpening(reference: "Zoë", reason: "reference_invalid"),
      BadOpening(reference: String(repeating: "a", count: 65), reason: "reference_invalid"),
      BadOpening(currency: "", reason: "currency_unknown"),
      BadOpening(currency: "gbp", reason: "currency_unknown"),
      BadOpening(currency: "XXX", reason: "currency_unknown"),
    ])
  func badInput(bad: BadOpening) async throws {
    try await AccountWorld.with { (world) async throws in
      let error = await refusal {
        _ = try await world.accounts().open(
          .init(reference: bad.reference, currency: bad.currency), options: CallOptions(idempotencyKey: bad.key))
      }
      #expect(error?.code == .invalidArgument)
      #expect(error?.trailers["reason"] == bad.reason)
      // What may be personal data is not repeated.
      if bad.reason == "reference_invalid", !bad.reference.isEmpty { #expect(error?.message.contains(bad.reference) == false) }
      #expect(world.ledger.calls == 0)
      #expect(try await world.count("SELECT count(*) FROM account.accounts") == 0)
    }
  }

  @Test("accounts are listed page by page, none twice, none left out")
  func list() async throws {
    try await AccountWorld.with { (world) async throws in
      var opened: Set<String> = []
      for number in 0..<7 { opened.insert(try await world.open(reference: "r\(number)").message.accountID) }
      var listed: [String] = []
      while true {
        let page = try await world.accounts().list(.init(limit: 3, afterAccountID: listed.last ?? "")).accounts
        #expect(page.count <= 3)
        listed += page.map(\.accountID)
        if page.isEmpty { break }
      }
      #expect(listed.count == 7)
      #expect(Set(listed) == opened)
      await expectRefusal(reason: "limit_too_large") { _ = try await world.accounts().list(.init(limit: 1001)) }
    }
  }

  @Test("an account that nobody opened is not found")
  func unknown() async throws {
    try await AccountWorld.with { (world) async throws in
      let error = await refusal { _ = try await world.accounts().get(.init(accountID: "ACC000000000000")) }
      #expect(error?.code == .notFound)
      #expect(error?.trailers["reason"] == "account_unknown")
      let malformed = await refusal { _ = try await world.accounts().get(.init(accountID: "no spaces")) }
      #expect(malformed?.code == .invalidArgument)
    }
  }
}
