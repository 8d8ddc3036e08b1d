/// One step of a definition, as the engine sees it.
public struct SagaStep<Action: SagaAction>: Hashable, Sendable {
  /// What takes the step back.
  public enum UndoRule: Hashable, Sendable {
    /// A check: nothing to undo.
    case nothing
    case by(Action)
    /// The pivot: no way back.
    case impossible
  }

  public let action: Action
  public let undo: UndoRule
  public let bound: RetryBound

  /// The compensation, if the step has one.
  public var compensation: Action? {
    if case .by(let action) = undo { action } else { nil }
  }
}

/// A saga as declared: steps in order, each with its compensation, the pivot last. A saga in the log is pinned to the
/// version that it started with; a changed definition is a new version beside the old one.
public struct SagaDefinition<Action: SagaAction>: Hashable, Sendable {
  public let name: String
  public let version: Int
  public let steps: [SagaStep<Action>]

  public init(_ name: String, version: Int, @SagaBuilder<Action> _ saga: () -> ClosedSaga<Action>) {
    self.name = name
    self.version = version
    steps = saga().steps
    let names = steps.map(\.action.name) + steps.compactMap(\.compensation?.name)
    precondition(Set(names).count == names.count, "saga \(name): two actions of one name; the log could not tell them apart")
    for case .attempts(let limit) in steps.map(\.bound) {
      precondition(limit >= 1, "saga \(name): a step that may be tried \(limit) times can never be done")
    }
  }
}
