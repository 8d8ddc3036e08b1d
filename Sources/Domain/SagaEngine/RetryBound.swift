/// How long a step may stay undecided.
public enum RetryBound: Hashable, Sendable {
  /// Tried again, with back-off, until its participant decides. For steps that move money: a participant that is away for an
  /// hour delays the payment for an hour, and decides nothing.
  case untilDecided
  /// Given up after this many contacts (calls, and questions that were not answered), at least 1: then forbidden by a
  /// tombstone if it may have been received, and what was done before it is compensated.
  case attempts(Int)

  func isPassed(after attempts: Int) -> Bool {
    switch self {
    case .untilDecided: false
    case .attempts(let limit): attempts >= limit
    }
  }
}
