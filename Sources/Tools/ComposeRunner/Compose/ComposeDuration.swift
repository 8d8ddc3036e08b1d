/// The Compose specification's durations: "10s", "1m30s", "250ms", "1h5m30s20ms". Units: us, ms, s, m, h, largest first or not.
enum ComposeDuration {
  /// Nil for anything else, and for more than a day: no wait in a compose file is that long by intent.
  static func parse(_ text: String) -> Duration? {
    var rest = Substring(text)
    guard !rest.isEmpty else { return nil }
    var microseconds: Int64 = 0
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest[digits.endIndex...]
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest[unit.endIndex...]
      guard !digits.isEmpty, digits.count <= 9, let count = Int64(digits), let scale = scales[String(unit)] else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: scale)
      guard !overflow, product <= maximum, microseconds <= maximum - product else { return nil }
      microseconds += product
    }
    return .microseconds(microseconds)
  }

  private static let maximum: Int64 = 86_400_000_000
  private static let scales: [String: Int64] = ["us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000]
}
