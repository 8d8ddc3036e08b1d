extension Duration {
  /// Rounded down, kept within Int64.
  package var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !overflow else { return seconds < 0 ? .min : .max }
    let (sum, overflowing) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflowing ? (seconds < 0 ? .min : .max) : sum
  }

  /// Rounded down, kept within Int64.
  package var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
}
