import Money
import Testing

@Suite("Timestamps and dates")
struct TimestampTests {
  @Test(
    "RFC 3339 in UTC is read and written",
    arguments: [
      ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z"),
      ("2026-03-18T09:23:11Z", 1_773_825_791_000_000, "2026-03-18T09:23:11.000000Z"),
      ("2026-03-18T09:23:11.5Z", 1_773_825_791_500_000, "2026-03-18T09:23:11.500000Z"),
      ("2026-03-18T09:23:11.000001Z", 1_773_825_791_000_001, "2026-03-18T09:23:11.000001Z"),
      ("1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"),
      ("0001-01-01T00:00:00Z", -62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
      ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
      ("2000-02-29T12:00:00Z", 951_825_600_000_000, "2000-02-29T12:00:00.000000Z"),
    ])
  func readsAndWrites(text: String, microseconds: Int64, canonical: String) throws {
    let timestamp = try #require(Timestamp(rfc3339: text))
    #expect(timestamp.microseconds == microseconds)
    #expect(timestamp.description == canonical)
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", "2026-03-18", "2026-03-18T09:23:11", "2026-03-18T09:23:11+00:00", "2026-03-18t09:23:11z", "2026-03-18 09:23:11Z",
      "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
      "2026-01-32T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
      "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.5", "20260101T000000Z",
      "2026-01-01T00:00:00.5ZZ", "２026-01-01T00:00:00Z", "-026-01-01T00:00:00Z", "2026-01-01T00:00:00.-5Z",
    ])
  func refuses(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

  @Test("Writing and parsing are inverses over four thousand years")
  func roundTrip() {
    let seed = UInt64.random(in: .min ... .max)
    print("seed: \(seed)")
    var generator = SplitMix(state: seed)
    for _ in 0..<5000 {
      let timestamp = Timestamp(microseconds: Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &generator))
      #expect(Timestamp(rfc3339: timestamp.description) == timestamp, "seed \(seed)")
    }
  }

  @Test("Text order is time order")
  func textOrder() {
    let times = [-1, 0, 1, 999_999, 1_000_000, 1_773_825_791_000_000].map { Timestamp(microseconds: $0) }
    #expect(times == times.sorted())
    #expect(times.map(\.description) == times.map(\.description).sorted())
  }

  @Test("An instant before 1970 belongs to the day it lies in")
  func dayOfInstant() {
    #expect(Timestamp(microseconds: -1).daysSinceEpoch == -1)
    #expect(Timestamp(microseconds: 0).daysSinceEpoch == 0)
    #expect(Timestamp(microseconds: 86_400_000_000).daysSinceEpoch == 1)
    #expect(Timestamp(microseconds: -86_400_000_000).daysSinceEpoch == -1)
    #expect(Timestamp(microseconds: -86_400_000_001).daysSinceEpoch == -2)
  }

  @Test("The first and the last instant that 64 bits hold are printed, and adding stops there")
  func extremes() {
    #expect(Timestamp(microseconds: .max).description == "294247-01-10T04:00:54.775807Z")
    #expect(Timestamp(microseconds: .min).description == "-290308-12-21T19:59:05.224192Z")
    #expect(Timestamp(microseconds: .max).adding(seconds: 1).microseconds == .max)
    #expect(Timestamp(microseconds: .min).adding(seconds: -1).microseconds == .min)
    #expect(Timestamp(microseconds: 0).adding(seconds: .max).microseconds == .max)
    #expect(Timestamp(microseconds: 0).adding(seconds: .min).microseconds == .min)
    #expect(Timestamp(microseconds: 5).adding(seconds: -2).microseconds == -1_999_995)
    #expect(Timestamp(microseconds: -1).milliseconds == -1)
    #expect(CivilDate(year: .max, month: 1, day: 1) == nil)
    #expect(CivilDate(year: .min, month: 12, day: 31) == nil)
  }

  @Test("Every day of eight centuries follows the one before it, and is found again by its date")
  func calendar() throws {
    let leap = { (year: Int64) in (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 }
    var day = try #require(CivilDate(year: 1600, month: 1, day: 1))
    #expect(day.daysSinceEpoch == -135_140)
    for year in Int64(1600)..<2400 {
      for month in Int64(1)...12 {
        let length: Int64 = month == 2 ? (leap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        for date in 1...length {
          let found = CivilDate(year: year, month: month, day: date)
          guard found == day, day.components == (year, month, date) else {
            Issue.record("\(year)-\(month)-\(date) is \(String(describing: found)), not \(day)")
            return
          }
          day = CivilDate(daysSinceEpoch: day.daysSinceEpoch + 1)
        }
        #expect(CivilDate(year: year, month: month, day: length + 1) == nil)
      }
    }
    #expect(CivilDate(year: 2026, month: 3, day: 18)?.description == "2026-03-18")
  }

  @Test("The machine's clock is after the day this was written")
  func systemClock() throws {
    #expect(SystemWallClock().now > (try #require(Timestamp(rfc3339: "2026-01-01T00:00:00Z"))))
  }
}
