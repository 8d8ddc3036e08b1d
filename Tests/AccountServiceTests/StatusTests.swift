import FlorinAPI
import MeshProtocol
import Money
import Testing

@testable import AccountService

@Suite struct StatusTests {
  @Test("freezing, unfreezing and closing are events that the ledger has posted when the answer comes")
  func life() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      for (change, status, inLedger): (AccountChange, AccountAPI.AccountStatus, LedgerAPI.AccountStatus) in [
        (.freeze, .frozen, .frozen), (.unfreeze, .open, .open), (.close, .closed, .closed),
      ] {
        let account = try await world.change(change, id)
        #expect(account.status == status)
        #expect(world.ledger.status(of: id) == inLedger)
        #expect(account.changedAtUnixMicroseconds == world.ledger.posted.last?.response.bookedAtUnixMicroseconds)
        #expect(try await world.status(of: id) == status)
      }
      let kinds = try await world.pool.query("SELECT kind FROM account.account_events ORDER BY sequence").map { try $0.text("kind") }
      #expect(kinds == ["open", "freeze", "unfreeze", "close"])
      #expect(
        try await world.auditActions(of: "account/\(id)")
          == ["open", "freeze", "unfreeze", "close"].flatMap { ["account.\($0)_requested", "account.\($0)_posted"] })
      #expect(try await world.outboxTypes(of: id).count == 8)
      #expect(try await world.count("SELECT count(*) FROM account.event_queue") == 0)
    }
  }

  @Test("what is so already is answered without another event")
  func already() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      #expect(try await world.change(.unfreeze, id).status == .open)
      for _ in 0..<3 { #expect(try await world.change(.freeze, id).status == .frozen) }
      #expect(world.ledger.decisions.count == 2)
      _ = try await world.change(.unfreeze, id)
      for _ in 0..<3 { #expect(try await world.change(.close, id).status == .closed) }
      #expect(world.ledger.decisions.count == 4)
    }
  }

  @Test("a closed account stays closed, and a frozen one is not closed")
  func refused() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      _ = try await world.change(.freeze, id)
      let frozen = await refusal { _ = try await world.change(.close, id) }
      #expect(frozen?.code == .failedPrecondition)
      #expect(frozen?.trailers["reason"] == "account_frozen")
      _ = try await world.change(.unfreeze, id)
      _ = try await world.change(.close, id)
      for change in [AccountChange.freeze, .unfreeze] {
        await expectRefusal(reason: "account_closed") { _ = try await world.change(change, id) }
      }
    }
  }

  @Test("an account with money is not closed; once it is empty it can be")
  func balanceNotZero() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      world.ledger.setMoney(true, in: id)
      for _ in 0..<2 {
        let error = await refusal { _ = try await world.change(.close, id) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.trailers["reason"] == "balance_not_zero")
        #expect(try await world.status(of: id) == .open)
      }
      world.ledger.setMoney(false, in: id)
      #expect(try await world.change(.close, id).status == .closed)
      #expect(try await world.auditActions(of: "account/\(id)").filter { $0 == "account.close_declined" }.count == 2)
    }
  }

  @Test("changes of unknown accounts and changes without a proper reason are refused")
  func badInput() async throws {
    try await AccountWorld.with { (world) async throws in
      let id = try await world.open().message.accountID
      for change in [AccountChange.freeze, .unfreeze, .close] {
        let unknown = await refusal { _ = try await world.change(change, "ACC000000000000") }
        #expect(unknown?.code == .notFound)
        for reason in ["", "Court Order", "court-order", "naïve", String(repeating: "a", count: 65)] {
          let error = await refusal { _ = try await world.change(change, id, reason: reason) }
          #expect(error?.code == .invalidArgument)
          #expect(error?.trailers["reason"] == "reason_invalid")
        }
      }
      #expect(world.ledger.decisions.count == 1)
    }
  }

  @Test("changes that come at the same time reach the ledger in the order of the events, and both sides agree in the end")
  func concurrentChanges() async throws {
    try await AccountWorld.with { (world) async throws in
      for _ in 0..<3 {
        let id = try await world.open(reference: "r").message.accountID
        await withTaskGroup(of: Void.self) { group in
          for task in 0..<12 {
            group.addTask {
              // Losing the race again and again is allowed; anything else is not.
              do { _ = try await world.change(task % 2 == 0 ? .freeze : .unfreeze, id) } catch {
                #expect((error as? RPCError)?.code == .aborted, "\(error)")
              }
            }
          }
        }
        let events = try await world.pool.query(
          "SELECT event_id FROM account.account_events WHERE account_id = $1 ORDER BY sequence", [.text(id)]
        ).map { try $0.uuid("event_id").description }
        #expect(world.ledger.decisions.filter { $0.accountID == id }.map(\.eventID) == events)
        let status = try await world.status(of: id)
        #expect(world.ledger.status(of: id) == (status == .frozen ? .frozen : .open))
      }
    }
  }

  @Test("for every status and change there is an answer, and only real changes are asked of the ledger")
  func table() {
    for status in AccountStatus.allCases {
      for change in AccountChange.allCases {
        switch (status, change, status.answer(to: change)) {
        case (.open, .freeze, .ask), (.open, .close, .ask), (.frozen, .unfreeze, .ask): break
        case (_, _, .ask): Issue.record("\(status) must not be changed by \(change)")
        case (.opening, _, let answer): #expect(answer == .refused("account_not_open"))
        case (.closed, .freeze, let answer), (.closed, .unfreeze, let answer): #expect(answer == .refused("account_closed"))
        case (.frozen, .close, let answer): #expect(answer == .refused("account_frozen"))
        case (_, _, let answer): #expect(answer == .already)
        }
      }
    }
  }
}
