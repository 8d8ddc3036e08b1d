/// An ISO 4217 currency that Florin books: its alphabetic code and the number of decimals of its smallest unit.
public struct Currency: Hashable, Sendable, CustomStringConvertible {
  /// Three upper-case letters.
  public let code: String
  /// Decimals of the minor unit: JPY 0, GBP 2, KWD 3.
  public let exponent: Int

  /// Nil if the code is not an active ISO 4217 currency. Lower case is refused: one spelling, one meaning.
  public init?(code: String) {
    guard let exponent = Self.exponents[code] else { return nil }
    self.code = code
    self.exponent = exponent
  }

  public var description: String { code }

  /// Minor units in one major unit.
  public var scale: Int64 { (0..<exponent).reduce(1) { value, _ in value * 10 } }

  /// ISO 4217 list one, funds and precious metals apart.
  private static let exponents: [String: Int] = {
    var table: [String: Int] = [:]
    let byExponent: [(Int, String)] = [
      (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
      (
        2,
        """
        AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC \
        CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES \
        KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR \
        NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT \
        TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG
        """
      ),
      (3, "BHD IQD JOD KWD LYD OMR TND"),
    ]
    for (exponent, codes) in byExponent {
      for code in codes.split(separator: " ") { table[String(code)] = exponent }
    }
    return table
  }()
}
