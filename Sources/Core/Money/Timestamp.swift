/// An instant in UTC, in microseconds since 1970-01-01, as PostgreSQL's timestamptz keeps it.
public struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let microseconds: Int64

  public init(microseconds: Int64) { self.microseconds = microseconds }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

  /// Rounded down.
  public var milliseconds: Int64 { Self.floorDivide(microseconds, 1000).quotient }

  /// Beyond what 64 bits of microseconds hold (the years -290,308 to 294,247) it is the last instant that they hold.
  public func adding(seconds: Int64) -> Timestamp {
    let limit = seconds < 0 ? Int64.min : Int64.max
    let (added, tooFar) = seconds.multipliedReportingOverflow(by: 1_000_000)
    let (sum, overflow) = microseconds.addingReportingOverflow(added)
    return Timestamp(microseconds: tooFar || overflow ? limit : sum)
  }

  /// RFC 3339 in UTC with microseconds: "2026-03-18T09:23:11.000000Z".
  public var description: String {
    let (second, micro) = Self.floorDivide(microseconds, 1_000_000)
    let (day, secondOfDay) = Self.floorDivide(second, 86_400)
    let date = CivilDate(daysSinceEpoch: day)
    return date.description + "T" + Self.pad(secondOfDay / 3600, 2) + ":" + Self.pad(secondOfDay / 60 % 60, 2) + ":"
      + Self.pad(secondOfDay % 60, 2) + "." + Self.pad(micro, 6) + "Z"
  }

  public var daysSinceEpoch: Int64 { Self.floorDivide(microseconds, 86_400_000_000).quotient }

  static func floorDivide(_ value: Int64, _ by: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: by)
    return remainder < 0 ? (quotient - 1, remainder + by) : (quotient, remainder)
  }

  static func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Parses RFC 3339 in UTC ("Z" only), with 0 to 6 decimals. Nil for anything else.
  public init?(rfc3339 text: String) {
    let bytes = Array(text.utf8)
    func number(_ from: Int, _ count: Int) -> Int64? {
      guard from + count <= bytes.count else { return nil }
      var value: Int64 = 0
      for byte in bytes[from..<from + count] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - 0x30)
      }
      return value
    }
    guard bytes.count >= 20, bytes[4] == 0x2d, bytes[7] == 0x2d, bytes[10] == 0x54, bytes[13] == 0x3a, bytes[16] == 0x3a,
      bytes.last == 0x5a, let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2),
      let minute = number(14, 2), let second = number(17, 2), let date = CivilDate(year: year, month: month, day: day),
      hour < 24, minute < 60, second < 60
    else { return nil }
    var micro: Int64 = 0
    let decimals = bytes.count - 21
    if decimals >= 0 {
      guard bytes[19] == 0x2e, (1...6).contains(decimals), let fraction = number(20, decimals) else { return nil }
      micro = (decimals..<6).reduce(fraction) { value, _ in value * 10 }
    }
    self.init(microseconds: (date.daysSinceEpoch * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000 + micro)
  }
}

/// A day of the proleptic Gregorian calendar (days-from-civil after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
public struct CivilDate: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let daysSinceEpoch: Int64

  public init(daysSinceEpoch: Int64) { self.daysSinceEpoch = daysSinceEpoch }

  /// Nil if there is no such day, or if the year is beyond the reach of `Timestamp`.
  public init?(year: Int64, month: Int64, day: Int64) {
    guard (-300_000...300_000).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    self.init(daysSinceEpoch: era * 146_097 + dayOfEra - 719_468)
    guard components == (year, month, day) else { return nil }
  }

  public static func < (a: CivilDate, b: CivilDate) -> Bool { a.daysSinceEpoch < b.daysSinceEpoch }

  public var components: (year: Int64, month: Int64, day: Int64) {
    let z = daysSinceEpoch + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthIndex = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
    let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  /// "2026-03-18".
  public var description: String {
    let (year, month, day) = components
    return (year < 0 ? "-" : "") + Timestamp.pad(abs(year), 4) + "-" + Timestamp.pad(month, 2) + "-" + Timestamp.pad(day, 2)
  }
}
