internal import Money
internal import Synchronization

/// What others may know of the sequencer without asking it: whether it writes, and which ids it can take.
final class SequencerStatus: Sendable {
  enum Phase: Sendable, Hashable {
    case starting
    case live(epoch: Int64)
    /// Why it does not write, for operators.
    case halted(String)
  }

  struct Snapshot: Sendable, Hashable {
    var phase = Phase.starting
    var months: IDWindow?
  }

  private let state = Mutex(Snapshot())

  var snapshot: Snapshot { state.withLock { $0 } }
  func set(_ phase: Phase) { state.withLock { $0.phase = phase } }
  func set(_ months: IDWindow) { state.withLock { $0.months = months } }
}
