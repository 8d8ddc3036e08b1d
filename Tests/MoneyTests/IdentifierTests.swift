import Money
import Testing

@Suite("Identifiers")
struct IdentifierTests {
  @Test(
    "An account's name is 1 to 64 of letters, digits, colon, underscore and hyphen",
    arguments: ["A", "ACC7Q2M0X4T9KDV", "clearing:GBP", "external:funding:GBP", "0", "a-b_c", String(repeating: "x", count: 64)])
  func accountNames(name: String) throws { #expect(try #require(AccountID(name)).description == name) }

  @Test(
    "Anything else is no account",
    arguments: ["", " ", ":GBP", "-a", "_a", "a b", "a/b", "a.b", "a\n", "a\0", "é", "ＡＣＣ", "a'--", String(repeating: "x", count: 65)])
  func noAccountNames(name: String) { #expect(AccountID(name) == nil) }

  @Test("The accounts of the house have names that parse")
  func houseAccounts() throws {
    let gbp = try #require(Currency(code: "GBP"))
    #expect(AccountID("clearing:GBP") == .clearing(gbp))
    #expect(AccountID("external:funding:GBP") == .externalFunding(gbp))
  }

  @Test("An idempotency key is a UUID of version 4 and the RFC's variant, in any case")
  func idempotencyKeys() {
    #expect(IdempotencyKey("919108f7-52d1-4320-9bac-f847db4148a8")?.description == "919108f7-52d1-4320-9bac-f847db4148a8")
    #expect(IdempotencyKey("919108F7-52D1-4320-9BAC-F847DB4148A8") == IdempotencyKey("919108f7-52d1-4320-9bac-f847db4148a8"))
  }

  @Test(
    "Other UUIDs and other text are no idempotency key",
    arguments: [
      "", "key-1", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "c232ab00-9414-11ec-b3c8-9f6bdeced846", "2ed6657d-e927-568b-95e1-2665a8aea6a2", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
      "919108f7-52d1-4320-cbac-f847db4148a8", "919108f7-52d1-4320-1bac-f847db4148a8",
    ])
  func noIdempotencyKeys(text: String) { #expect(IdempotencyKey(text) == nil) }

  @Test("A transfer's id must be time-ordered")
  func transferIDs() throws {
    #expect(TransferID(try #require(UUID128("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"))) != nil)
    #expect(TransferID(try #require(UUID128("919108f7-52d1-4320-9bac-f847db4148a8"))) == nil)
    #expect(TransferID(try #require(UUID128("017f22e2-79b0-7cc3-d8c4-dc0c0c07398f"))) == nil)
  }
}
