import Migrations
import Postgres
import Testing

@testable import ServiceRuntime

@Suite("What the state of the database means at start")
struct DatabaseGateTests {
  let first = Migration(version: 1, name: "first", sql: "SELECT 1")
  let second = Migration(version: 100, name: "second", sql: "SELECT 2")

  func applied(_ migration: Migration, checksum: [UInt8]? = nil) -> DatabaseGate.Applied {
    DatabaseGate.Applied(version: migration.version, name: migration.name, checksum: checksum ?? migration.checksum)
  }

  @Test("The same migrations: usable")
  func same() {
    #expect(DatabaseGate.compare([first, second], [applied(first), applied(second)], service: "ledger") == .usable)
    #expect(DatabaseGate.compare([], [], service: "ledger") == .usable)
  }

  @Test("One lacks: run migrate")
  func pending() {
    #expect(
      DatabaseGate.compare([first, second], [applied(first)], service: "ledger")
        == .refused("the database lacks 1 of 2 migrations: 100 (second); run `ledger migrate`"))
  }

  @Test("One too many: the program is too old")
  func newer() {
    guard case .refused(let message) = DatabaseGate.compare([first], [applied(first), applied(second)], service: "ledger") else {
      Issue.record("it was accepted")
      return
    }
    #expect(message.contains("run a newer ledger"))
  }

  @Test("Another text under the same number: refused")
  func edited() {
    guard case .refused(let message) = DatabaseGate.compare([first], [applied(first, checksum: [1])], service: "ledger") else {
      Issue.record("it was accepted")
      return
    }
    #expect(message.contains("edited"))
  }

  @Test("Errors that pass by themselves are waited for, others are not")
  func errors() {
    for code in [PostgresError.Code.unreachable, .connectionLost, .timedOut, .poolExhausted, .sqlState("57P03"), .sqlState("53300")] {
      #expect(DatabaseGate.judge(PostgresError(code, "why"), service: "ledger") == .waiting("why"))
    }
    for code in [PostgresError.Code.refused, .sqlState("42601"), .typeMismatch] {
      guard case .refused = DatabaseGate.judge(PostgresError(code, "why"), service: "ledger") else {
        Issue.record("\(code) is waited for")
        continue
      }
    }
    guard case .refused(let message) = DatabaseGate.judge(PostgresError(.sqlState("42P01"), "no table"), service: "ledger") else {
      Issue.record("a missing history is waited for")
      return
    }
    #expect(message.contains("run `ledger migrate`"))
  }
}
