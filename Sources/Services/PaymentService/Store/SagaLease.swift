internal import Money

/// The right to write to one saga, and how far its log went when it was last written.
struct SagaLease: Hashable, Sendable {
  let sagaID: PaymentID
  /// The process instance that holds it.
  let owner: UUID128
  /// Which holding this is, counted from 1. Whoever takes the lease next has a higher one, and this one then writes nothing more.
  let epoch: Int64
  var lastSequence: Int
  /// Contacts since the saga last got on; grows the back-off, across processes.
  var attempts: Int
}

/// Somebody else has the lease, or wrote to the log: this run must stop, and has changed nothing.
struct LeaseLost: Error, Hashable, CustomStringConvertible {
  let sagaID: PaymentID

  var description: String { "another process has taken over saga \(sagaID), or it has ended" }
}

/// When a saga is to be looked at again.
enum SagaSchedule: Hashable, Sendable {
  /// It goes on right now.
  case running
  /// Not before so many milliseconds; the lease is kept.
  case pausing(milliseconds: Int64)
  /// Not before so many milliseconds, by whoever comes first.
  case released(milliseconds: Int64)

  var delayMilliseconds: Int64 {
    switch self {
    case .running: 0
    case .pausing(let milliseconds), .released(let milliseconds): milliseconds
    }
  }

  var keepsLease: Bool { if case .released = self { false } else { true } }
}
