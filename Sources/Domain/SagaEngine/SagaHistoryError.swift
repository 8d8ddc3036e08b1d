/// Why a log is not the history of a saga. Whoever meets one quarantines the saga, and goes on with the others.
public enum SagaHistoryError: Error, Hashable, Sendable, CustomStringConvertible {
  case empty
  case notStarted
  case startedTwice
  /// The definition is not known to this build.
  case unknownDefinition(name: String, version: Int)
  case unknownStep(Int)
  /// Something was written after the terminal event.
  case afterTheEnd
  /// The event is not one that can follow what stands before it.
  case illegal(event: String, state: String)
  /// Attempts must increase; those of a bounded step, one by one.
  case attemptOutOfOrder(step: Int, attempt: Int, expected: Int)
  /// The intent has no frozen compensation though the step has one, or has one though the step has none.
  case compensationMismatch(step: Int)
  /// A row of the log cannot be read.
  case undecodable(sequence: Int, detail: String)
  /// The rows are not numbered 1, 2, 3, ….
  case gap(expected: Int, found: Int)

  public var description: String {
    switch self {
    case .empty: "the saga has no events"
    case .notStarted: "the saga does not begin with 'started'"
    case .startedTwice: "the saga is started twice"
    case .unknownDefinition(let name, let version): "this build does not know version \(version) of the saga '\(name)'; run one that does"
    case .unknownStep(let step): "the definition has no step \(step)"
    case .afterTheEnd: "the saga goes on after its terminal event"
    case .illegal(let event, let state): "'\(event)' cannot follow in state \(state)"
    case .attemptOutOfOrder(let step, let attempt, let expected): "step \(step): attempt \(attempt) where \(expected) was due"
    case .compensationMismatch(let step): "step \(step): the frozen compensation does not fit the definition"
    case .undecodable(let sequence, let detail): "event \(sequence) cannot be read: \(detail)"
    case .gap(let expected, let found): "event \(expected) is missing (the next is \(found))"
    }
  }
}
