import Money
import SagaEngine

/// Participants that keep their word: one decision per id, tombstones, idempotent compensations; and a network that does not.
struct TestWorld {
  enum Decision: Equatable { case done, declined, forbidden }

  /// What the network does to one call.
  enum Fate: CaseIterable { case delivered, refused, lost, replyLost, delayed }

  /// Actions that their participant refuses, whenever they come.
  var refuses: Set<TestAction> = []
  /// Actions whose participant finds fault with the request itself.
  var chokesOn: Set<TestAction> = []
  /// What became of each action, for good.
  private(set) var decisions: [TestAction: Decision] = [:]
  /// Every effect, in the order in which it happened.
  private(set) var effects: [TestAction] = []
  /// Requests that are still on their way.
  private(set) var underWay: [TestAction] = []
  /// Calls made, for coverage.
  private(set) var fates: [Fate: Int] = [:]

  mutating func call(_ action: TestAction, _ fate: Fate) -> SagaOutcome {
    fates[fate, default: 0] += 1
    switch fate {
    case .refused: return .transient(detail: "connection refused")
    case .lost: return .ambiguous(detail: "request lost")
    case .delayed:
      underWay.append(action)
      return .ambiguous(detail: "still on its way")
    case .replyLost:
      _ = arrive(action)
      return .ambiguous(detail: "reply lost")
    case .delivered: return arrive(action)
    }
  }

  mutating func ask(_ action: TestAction, _ fate: Fate) -> SagaFinding {
    guard fate == .delivered else { return .unanswered(detail: "no answer") }
    switch decisions[action] {
    case .done: return .done
    case .declined: return .declined(reason: "refused_" + action.name)
    case .forbidden: return .forbidden
    case nil: return .unknown
    }
  }

  mutating func forbid(_ action: TestAction, _ fate: Fate) -> SagaFinding {
    if fate == .refused || fate == .lost || fate == .delayed { return .unanswered(detail: "no answer") }
    if decisions[action] == nil { decisions[action] = .forbidden }
    return fate == .replyLost ? .unanswered(detail: "reply lost") : ask(action, .delivered)
  }

  /// Lets everything that is still on its way arrive.
  mutating func settle() {
    for action in underWay { _ = arrive(action) }
    underWay = []
  }

  mutating func deliverOne(using generator: inout SplitMix64) {
    guard let index = underWay.indices.randomElement(using: &generator) else { return }
    _ = arrive(underWay.remove(at: index))
  }

  private mutating func arrive(_ action: TestAction) -> SagaOutcome {
    if chokesOn.contains(action) { return .bug(detail: "INVALID_ARGUMENT") }
    switch decisions[action] {
    case .done: return .done
    case .declined: return .declined(reason: "refused_" + action.name)
    case .forbidden: return .declined(reason: "tombstone")
    case nil:
      if refuses.contains(action) {
        decisions[action] = .declined
        return .declined(reason: "refused_" + action.name)
      }
      decisions[action] = .done
      effects.append(action)
      return .done
    }
  }
}
