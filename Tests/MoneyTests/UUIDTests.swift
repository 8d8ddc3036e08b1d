import Money
import Testing

@Suite("UUIDs")
struct UUIDTests {
  @Test("Text is read in either case and written in lower case")
  func text() throws {
    let uuid = try #require(UUID128("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"))
    #expect(uuid.description == "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
    #expect(UUID128(bytes: uuid.bytes) == uuid)
    #expect(uuid.version == 1)
    #expect(uuid.isRFCVariant)
  }

  @Test(
    "Other spellings are refused",
    arguments: [
      "", "f81d4fae7dec11d0a76500a0c91e6bf6", "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
      "f81d4fae-7dec-11d0-a765-00a0c91e6bf", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6 ", "g81d4fae-7dec-11d0-a765-00a0c91e6bf6",
      "f81d4fae-7dec-11d0-a765-00a0c91e6b-6", "f81d4fae 7dec 11d0 a765 00a0c91e6bf6", "ｆ81d4fae-7dec-11d0-a765-00a0c91e6",
    ])
  func refused(text: String) { #expect(UUID128(text) == nil) }

  @Test("Sixteen bytes, no more, no less")
  func bytes() {
    #expect(UUID128(bytes: [UInt8](repeating: 0, count: 15)) == nil)
    #expect(UUID128(bytes: [UInt8](repeating: 0, count: 17)) == nil)
    #expect(UUID128(bytes: [UInt8](repeating: 0xff, count: 16))?.description == "ffffffff-ffff-ffff-ffff-ffffffffffff")
  }

  @Test("Version 5 agrees with RFC 9562, appendix A.4, and with Python's uuid5")
  func version5() throws {
    let dns = try #require(UUID128("6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
    #expect(UUID128.named(Array("www.example.com".utf8), in: dns).description == "2ed6657d-e927-568b-95e1-2665a8aea6a2")
    #expect(UUID128.named(Array("python.org".utf8), in: dns).description == "886313e1-3b8a-5372-9b90-0c9aee199e5d")
    #expect(UUID128.named([], in: dns).version == 5)
    #expect(UUID128.named([], in: dns).isRFCVariant)
  }

  @Test("Version 7 begins with the milliseconds of RFC 9562, appendix A.6")
  func version7() {
    let time = Timestamp(microseconds: 0x017F_22E2_79B0 * 1000)
    var generator = SplitMix(state: 7)
    for _ in 0..<200 {
      let uuid = UUID128.timeOrdered(at: time, using: &generator)
      #expect(uuid.description.hasPrefix("017f22e2-79b0-7"))
      #expect(uuid.version == 7)
      #expect(uuid.isRFCVariant)
      #expect(uuid.timestampMilliseconds == 0x017F_22E2_79B0)
      #expect(TransferID(uuid) != nil)
    }
  }

  @Test("Version 7 keeps the order of its instants")
  func version7Order() {
    let ids = (0..<500).map { UUID128.timeOrdered(at: Timestamp(microseconds: 1_773_825_791_000_000 + $0 * 1000)) }
    #expect(ids == ids.sorted())
    #expect(ids.map(\.description) == ids.map(\.description).sorted())
  }

  @Test("An instant before 1970 makes an id of 1970 rather than none")
  func before1970() {
    #expect(UUID128.timeOrdered(at: Timestamp(microseconds: .min)).timestampMilliseconds == 0)
    #expect(UUID128.deterministic(at: Timestamp(microseconds: -1), name: []).timestampMilliseconds == 0)
  }

  @Test("Version 4 is random, with version and variant set")
  func version4() {
    let ids = Set((0..<1000).map { _ in UUID128.random() })
    #expect(ids.count == 1000)
    #expect(ids.allSatisfy { $0.version == 4 && $0.isRFCVariant && IdempotencyKey($0.description) != nil })
  }

  @Test("Version 8 is the same for the same instant and name, and another for any other")
  func version8() {
    let time = Timestamp(microseconds: 1_773_825_791_000_000)
    let one = UUID128.deterministic(at: time, name: Array("debit".utf8))
    #expect(one == UUID128.deterministic(at: time, name: Array("debit".utf8)))
    #expect(one == UUID128.deterministic(at: Timestamp(microseconds: time.microseconds + 999), name: Array("debit".utf8)))
    #expect(one != UUID128.deterministic(at: time, name: Array("credit".utf8)))
    #expect(one != UUID128.deterministic(at: time.adding(seconds: 1), name: Array("debit".utf8)))
    #expect(one.version == 8 && one.isRFCVariant)
    #expect(one.timestampMilliseconds == time.milliseconds)
    #expect(TransferID(one) != nil)
    #expect(one < UUID128.deterministic(at: time.adding(seconds: 1), name: Array("debit".utf8)))
  }
}
