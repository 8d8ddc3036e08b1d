import Money
import Testing

@Suite("Amounts")
struct AmountTests {
  let gbp: Currency
  let jpy: Currency
  let kwd: Currency

  init() throws {
    gbp = try #require(Currency(code: "GBP"))
    jpy = try #require(Currency(code: "JPY"))
    kwd = try #require(Currency(code: "KWD"))
  }

  @Test(
    "A plain decimal becomes minor units",
    arguments: [
      ("100.00", 10_000), ("100", 10_000), ("100.5", 10_050), ("0.01", 1), ("0", 0), ("0.00", 0), ("-0.01", -1), ("-0", 0),
      ("007", 700), ("00.10", 10), ("92233720368547758.07", Int64.max), ("-92233720368547758.08", Int64.min),
    ])
  func parses(text: String, units: Int64) throws {
    #expect(try Amount(decimal: text, currency: gbp).minorUnits == units)
  }

  @Test("Each currency has its own decimals: none for JPY, three for KWD")
  func exponents() throws {
    #expect(try Amount(decimal: "1500", currency: jpy) == Amount(minorUnits: 1500, currency: jpy))
    #expect(throws: AmountError.tooManyDecimals("1500.0", jpy)) { try Amount(decimal: "1500.0", currency: jpy) }
    #expect(try Amount(decimal: "1.234", currency: kwd) == Amount(minorUnits: 1234, currency: kwd))
    #expect(try Amount(decimal: "1.2", currency: kwd) == Amount(minorUnits: 1200, currency: kwd))
    #expect(throws: AmountError.tooManyDecimals("1.2345", kwd)) { try Amount(decimal: "1.2345", currency: kwd) }
    #expect(try Amount(decimal: "9223372036854775807", currency: jpy).minorUnits == .max)
  }

  @Test(
    "Whatever is not a plain decimal is refused",
    arguments: [
      "", " ", "1e3", "1E3", "NaN", "nan", "inf", "Infinity", "+1", "1.", ".5", ".", "-", "--1", "-.5", "1..0", "1.0.0", "1,000.00",
      "1_000", "0x10", " 1", "1 ", "1\n", "1\0", "£1", "1 GBP", "١٠٠", "１００", "1.٥", "½", "-+1", "1-", "1.-5",
    ])
  func refusesOtherText(text: String) {
    #expect(throws: AmountError.notADecimal(text)) { try Amount(decimal: text, currency: gbp) }
  }

  @Test("More decimals than the currency has are refused, even if they are zeros", arguments: ["1.001", "1.000", "0.999", "-1.001"])
  func refusesDecimals(text: String) {
    #expect(throws: AmountError.tooManyDecimals(text, gbp)) { try Amount(decimal: text, currency: gbp) }
  }

  @Test(
    "What lies beyond 64 bits is refused, never rounded or wrapped",
    arguments: [
      "92233720368547758.08", "-92233720368547758.09", "92233720368547759", "9223372036854775808", "18446744073709551616.00",
      "1" + String(repeating: "0", count: 400),
    ])
  func refusesOverflow(text: String) {
    #expect(throws: AmountError.outOfRange(text)) { try Amount(decimal: text, currency: gbp) }
  }

  @Test("A refusal says what to do")
  func refusalsAreUseful() {
    #expect(AmountError.notADecimal("1e3").description.contains("plain decimal such as 100.00"))
    #expect(AmountError.tooManyDecimals("1.001", gbp).description == "'1.001' has more decimals than GBP, which has 2")
    #expect(AmountError.outOfRange("9").description.contains("64-bit"))
    #expect(AmountError.currencyMismatch(gbp, jpy).description.contains("GBP and JPY"))
  }

  @Test(
    "An amount is written with exactly its currency's decimals",
    arguments: [
      (10_000, "100.00"), (1, "0.01"), (10, "0.10"), (0, "0.00"), (-1, "-0.01"), (-10_050, "-100.50"),
      (Int64.max, "92233720368547758.07"), (Int64.min, "-92233720368547758.08"),
    ])
  func writes(units: Int64, text: String) {
    #expect(Amount(minorUnits: units, currency: gbp).decimal == text)
    #expect(Amount(minorUnits: units, currency: gbp).description == text + " GBP")
  }

  @Test("Writing and parsing are inverses, for random amounts in every number of decimals")
  func roundTrip() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed: \(seed)")
    var generator = SplitMix(state: seed)
    for currency in [gbp, jpy, kwd] {
      for shift in 0..<64 {
        for _ in 0..<50 {
          let amount = Amount(minorUnits: Int64(bitPattern: generator.next()) >> Int64(shift), currency: currency)
          #expect(try Amount(decimal: amount.decimal, currency: currency) == amount, "seed \(seed)")
        }
      }
    }
  }

  @Test("Adding is exact, and refused beyond 64 bits or across currencies")
  func adding() throws {
    let one = Amount(minorUnits: 1, currency: gbp)
    #expect(try one.adding(Amount(minorUnits: -3, currency: gbp)).minorUnits == -2)
    #expect(throws: AmountError.overflow) { try one.adding(Amount(minorUnits: .max, currency: gbp)) }
    #expect(throws: AmountError.overflow) { try Amount(minorUnits: -1, currency: gbp).adding(Amount(minorUnits: .min, currency: gbp)) }
    #expect(throws: AmountError.currencyMismatch(gbp, jpy)) { try one.adding(Amount(minorUnits: 1, currency: jpy)) }
  }
}

/// Sebastiano Vigna's SplitMix64: small, and the same sequence for the same seed everywhere.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
