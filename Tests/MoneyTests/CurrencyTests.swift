import Money
import Testing

@Suite("Currencies")
struct CurrencyTests {
  @Test(
    "A currency has the minor unit of ISO 4217",
    arguments: [("GBP", 2, 100), ("EUR", 2, 100), ("USD", 2, 100), ("JPY", 0, 1), ("KWD", 3, 1000), ("BHD", 3, 1000), ("ISK", 0, 1)])
  func exponent(code: String, exponent: Int, scale: Int64) throws {
    let currency = try #require(Currency(code: code))
    #expect(currency.exponent == exponent)
    #expect(currency.scale == scale)
    #expect(currency.description == code)
  }

  @Test(
    "Only active alphabetic codes in upper case name a currency",
    arguments: ["", "gbp", "Gbp", "GB", "GBPX", "XXX", "XAU", "XTS", "DEM", "826", "G BP", "GBP ", "ＧＢＰ", "BTC"])
  func unknown(code: String) { #expect(Currency(code: code) == nil) }
}
