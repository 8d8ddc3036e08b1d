package import NIOCore
internal import MeshProtocol

extension TimeAmount {
  /// From now until then, but at most an hour: a peer may name any time, and the event loop's clock ends some day. Whoever uses this
  /// sets the timer again if it fired too early.
  package static func until(_ due: ContinuousClock.Instant) -> TimeAmount {
    .nanoseconds(min(max(.zero, due - .now), .seconds(3600)).wholeNanoseconds)
  }
}
