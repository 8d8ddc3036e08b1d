/// What a channel may spend on trying again: a full bucket at first; each success gives a little back, each retry takes one.
///
/// It keeps retries a small part of the calls: a service that is down is not asked several times as often as one that is up.
package struct RetryBudget: Sendable, Hashable {
  /// In thousandths of a token, so that the arithmetic is exact.
  private let capacity: Int
  private let refill: Int
  private var level: Int

  /// - Parameter refillThousandths: what a success gives back.
  package init(tokens: Int = 10, refillThousandths: Int = 100) {
    capacity = tokens * 1000
    refill = refillThousandths
    level = capacity
  }

  package mutating func callSucceeded() { level = min(capacity, level + refill) }

  /// False: the budget is spent.
  package mutating func takesRetry() -> Bool {
    guard level >= 1000 else { return false }
    level -= 1000
    return true
  }
}
