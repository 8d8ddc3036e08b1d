import Money
import SagaEngine

/// A saga of the shape of a payment: a check, two steps that move something, one that may be given up, a pivot.
enum TestAction: String, SagaAction, CaseIterable {
  case check, takeA, returnA, giveB, takeBackB, tell, untell, release

  var name: String {
    switch self {
    case .check: "check"
    case .takeA: "take_a"
    case .returnA: "return_a"
    case .giveB: "give_b"
    case .takeBackB: "take_back_b"
    case .tell: "tell"
    case .untell: "untell"
    case .release: "release"
    }
  }

  static let saga = SagaDefinition<TestAction>("test", version: 1) {
    NothingToUndo().after(.check)
    Undo(by: .returnA).after(.takeA)
    Undo(by: .takeBackB).after(.giveB)
    Undo(by: .untell).after(.tell, givingUp: .attempts(6))
    Pivot(.release)
  }

  static let catalogue = SagaCatalogue([saga])
}

/// SplitMix64 (G. Steele et al.): small, seeded, the same everywhere.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// Ids that a test can read: the action's position.
func testID(_ action: TestAction) -> UUID128 {
  let index = TestAction.allCases.firstIndex(of: action) ?? 0
  return UUID128(high: 0, low: UInt64(index) + 1)
}

/// The intent of a step, frozen as a driver would.
func testIntent(_ step: Int) -> SagaIntent {
  let declared = TestAction.saga.steps[step]
  return SagaIntent(
    step: step, id: testID(declared.action), request: Array(declared.action.name.utf8),
    compensation: declared.compensation.map { SagaCompensation(id: testID($0), request: Array($0.name.utf8)) })
}
