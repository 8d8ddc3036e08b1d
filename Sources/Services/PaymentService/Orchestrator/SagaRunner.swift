internal import Logging
internal import Money
internal import SagaEngine
internal import Synchronization

/// What a run of a saga needs: the participants, the log, the clock. One per process.
struct SagaRunner: Sendable {
  let store: SagaStore
  let participants: PaymentParticipants
  let backoff: SagaBackoff
  let clock: any WallClock
  let logger: Logger
  let board: CompletionBoard
  /// Looked at after every event that was written and before every call: tests stop a run there, as a crash would.
  var failpoint: @Sendable (SagaFailpoint) throws -> Void = { _ in }
}

/// A place at which a run may die.
enum SagaFailpoint: Hashable, Sendable {
  /// The log of the saga has so many events, all of them committed.
  case written(Int)
  /// A call was answered, and the answer is nowhere but in memory.
  case answered(PaymentAction)
}
