import Idempotency
import Money
import Testing

@Suite("Idempotency")
struct IdempotencyTests {
  private let key = "5f3b2a10-9c8d-4e7f-8a6b-1c2d3e4f5a6b"
  private let now = Timestamp(microseconds: 1_800_000_000_000_000)

  private func scope(_ caller: String = "spiffe://florin.local/operator/admin", _ method: String = "p.S/M") throws -> IdempotencyScope {
    IdempotencyScope(caller: caller, method: method, key: try #require(IdempotencyKey(key)))
  }

  private func fingerprint(_ method: String = "p.S/M", _ fields: [(String, String)] = [("a", "1")]) -> RequestFingerprint {
    var request = CanonicalRequest()
    for (name, value) in fields { request.append(name, value) }
    return RequestFingerprint(method: method, request)
  }

  @Test("one scope names one payment; another caller, method or key names another")
  func paymentIDs() throws {
    let one = try scope().paymentID
    #expect(try scope().paymentID == one)
    #expect(one.uuid.version == 5 && one.uuid.isRFCVariant)
    var ids: Set = [one]
    ids.insert(try scope("spiffe://florin.local/operator/bob").paymentID)
    ids.insert(try scope("spiffe://florin.local/operator/admin", "p.S/N").paymentID)
    let other = try #require(IdempotencyKey("5f3b2a10-9c8d-4e7f-8a6b-1c2d3e4f5a6c"))
    ids.insert(IdempotencyScope(caller: "spiffe://florin.local/operator/admin", method: "p.S/M", key: other).paymentID)
    #expect(ids.count == 4)
  }

  @Test("moving a letter from the caller to the method makes another payment")
  func scopesDoNotRunTogether() throws {
    #expect(try scope("ab", "c").paymentID != scope("a", "bc").paymentID)
  }

  @Test("the payment id of a scope never changes between releases")
  func golden() throws {
    #expect(try scope().paymentID.description == "1c295528-2264-5960-b0ce-97348e3ba612")
  }

  @Test("the fingerprint tells methods, names and values apart, and their borders")
  func fingerprints() {
    let all = [
      fingerprint(), fingerprint("p.S/N"), fingerprint("p.S/M", [("a", "2")]), fingerprint("p.S/M", [("b", "1")]),
      fingerprint("p.S/M", [("a", "1"), ("b", "")]), fingerprint("p.S/M", [("a", ""), ("1", "")]),
    ]
    #expect(Set(all).count == all.count)
    #expect(fingerprint() == fingerprint())
    #expect(RequestFingerprint(bytes: fingerprint().bytes) == fingerprint())
    #expect(RequestFingerprint(bytes: [1, 2, 3]) == nil)
  }

  @Test("the decision table")
  func decisions() {
    let reply = StoredReply(statusCode: 0, message: [1, 2, 3])
    let (mine, theirs) = (fingerprint(), fingerprint("p.S/N"))
    let later = now.adding(seconds: 1)
    func decide(_ exists: Bool, _ record: KeyRecord?) -> IdempotencyDecision {
      .decide(paymentExists: exists, record: record, fingerprint: mine, now: now)
    }
    #expect(decide(false, nil) == .new)
    #expect(decide(true, nil) == .keyExpired)
    #expect(decide(true, KeyRecord(fingerprint: mine, reply: nil, expiresAt: nil)) == .inProgress)
    #expect(decide(true, KeyRecord(fingerprint: theirs, reply: nil, expiresAt: nil)) == .otherBody)
    #expect(decide(true, KeyRecord(fingerprint: mine, reply: reply, expiresAt: later)) == .replay(reply))
    #expect(decide(true, KeyRecord(fingerprint: theirs, reply: reply, expiresAt: later)) == .otherBody)
    #expect(decide(true, KeyRecord(fingerprint: mine, reply: reply, expiresAt: now)) == .keyExpired)
    #expect(decide(true, KeyRecord(fingerprint: theirs, reply: reply, expiresAt: now)) == .keyExpired)
  }

  @Test("a reply is kept for 24 to 48 hours after the terminal state")
  func lifetime() throws {
    #expect(KeyLifetime(hours: 23) == nil)
    #expect(KeyLifetime(hours: 49) == nil)
    #expect(KeyLifetime.standard.expiry(finishedAt: now) == now.adding(seconds: 86_400))
    #expect(try #require(KeyLifetime(hours: 48)).expiry(finishedAt: now) == now.adding(seconds: 172_800))
  }

  @Test(
    "a key is a UUID of version 4",
    arguments: [
      "", "not-a-uuid", "5f3b2a10-9c8d-1e7f-8a6b-1c2d3e4f5a6b", "5f3b2a10-9c8d-4e7f-0a6b-1c2d3e4f5a6b", "5f3b2a109c8d4e7f8a6b1c2d3e4f5a6b",
    ])
  func badKeys(text: String) {
    #expect(IdempotencyKey(text) == nil)
  }
}
