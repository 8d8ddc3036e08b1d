/// An amount of money: minor units of a currency. Arithmetic is checked; there is no floating point anywhere.
public struct Amount: Hashable, Sendable, CustomStringConvertible {
  public let minorUnits: Int64
  public let currency: Currency

  public init(minorUnits: Int64, currency: Currency) {
    self.minorUnits = minorUnits
    self.currency = currency
  }

  /// Parses a plain decimal such as "100", "100.5" or "-0.01".
  /// - Throws: `AmountError` for anything else: signs and digits only, no exponent, no more decimals than the currency has,
  ///   nothing beyond Int64 minor units.
  public init(decimal text: String, currency: Currency) throws(AmountError) {
    var rest = Substring(text)
    let negative = rest.first == "-"
    if negative { rest = rest.dropFirst() }
    let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let isDigits = { (part: Substring) in !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    guard let whole = parts.first, isDigits(whole), parts.count == 1 || isDigits(parts[1]) else {
      throw .notADecimal(text)
    }
    let fraction = parts.count == 2 ? parts[1] : ""
    guard fraction.count <= currency.exponent else { throw .tooManyDecimals(text, currency) }
    let padded = String(whole) + fraction + String(repeating: "0", count: currency.exponent - fraction.count)
    guard let units = Int64((negative ? "-" : "") + padded) else { throw .outOfRange(text) }
    self.init(minorUnits: units, currency: currency)
  }

  /// "100.00": the currency's decimals, a sign only if negative, no grouping.
  public var decimal: String {
    let digits = String(minorUnits.magnitude)
    let sign = minorUnits < 0 ? "-" : ""
    guard currency.exponent > 0 else { return sign + digits }
    let padded = String(repeating: "0", count: max(0, currency.exponent + 1 - digits.count)) + digits
    let point = padded.index(padded.endIndex, offsetBy: -currency.exponent)
    return sign + padded[..<point] + "." + padded[point...]
  }

  /// "100.00 GBP".
  public var description: String { decimal + " " + currency.code }

  /// - Throws: `AmountError.currencyMismatch` or `.overflow`.
  public func adding(_ other: Amount) throws(AmountError) -> Amount {
    guard other.currency == currency else { throw .currencyMismatch(currency, other.currency) }
    let (sum, overflow) = minorUnits.addingReportingOverflow(other.minorUnits)
    guard !overflow else { throw .overflow }
    return Amount(minorUnits: sum, currency: currency)
  }
}

/// Why a text is not an amount, or a sum has none.
public enum AmountError: Error, Equatable, CustomStringConvertible {
  case notADecimal(String)
  case tooManyDecimals(String, Currency)
  case outOfRange(String)
  case currencyMismatch(Currency, Currency)
  case overflow

  public var description: String {
    switch self {
    case .notADecimal(let text):
      "'\(text)' is not an amount: write it as a plain decimal such as 100.00, without exponent, sign of plus or grouping"
    case .tooManyDecimals(let text, let currency):
      "'\(text)' has more decimals than \(currency.code), which has \(currency.exponent)"
    case .outOfRange(let text): "'\(text)' is larger than Florin can book (64-bit minor units)"
    case .currencyMismatch(let one, let other): "\(one.code) and \(other.code) cannot be added"
    case .overflow: "the sum is larger than Florin can book (64-bit minor units)"
    }
  }
}
