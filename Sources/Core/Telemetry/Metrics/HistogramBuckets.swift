/// The upper bounds of a histogram's buckets, ascending; "+Inf" is implied.
public struct HistogramBuckets: Sendable, Hashable {
  public let bounds: [Double]

  /// Sorted, without repeats and without what is not finite; at most 40.
  public init(_ bounds: [Double]) { self.bounds = Array(Set(bounds.filter(\.isFinite)).sorted().prefix(40)) }

  /// Seconds, from half a millisecond (one statement) to a minute (one payment that waits for a restart).
  public static let seconds = HistogramBuckets([
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
  ])

  /// Counts and sizes: 1, 2, 5, 10, … 1,000,000.
  public static let counts = HistogramBuckets([
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
  ])
}
