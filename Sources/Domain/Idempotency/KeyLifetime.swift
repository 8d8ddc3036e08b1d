public import Money

/// How long the reply to a key is kept after the terminal state: 24 to 48 hours.
public struct KeyLifetime: Hashable, Sendable {
  public static let allowedHours: ClosedRange<Int64> = 24...48

  public let hours: Int64

  /// Nil outside of 24 to 48.
  public init?(hours: Int64) {
    guard Self.allowedHours.contains(hours) else { return nil }
    self.hours = hours
  }

  private init(checked hours: Int64) { self.hours = hours }

  /// 24 hours.
  public static let standard = KeyLifetime(checked: allowedHours.lowerBound)

  public func expiry(finishedAt: Timestamp) -> Timestamp { finishedAt.adding(seconds: hours * 3600) }
}
