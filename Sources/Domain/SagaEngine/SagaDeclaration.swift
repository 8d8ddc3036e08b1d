// How a saga is written down. The grammar is in the types:
//
//     saga  = (check | step)* pivot
//     check = NothingToUndo().after(action)
//     step  = Undo(by: compensation).after(action)
//     pivot = Pivot(action)
//
// There is no way to write an action before its compensation, none to leave the compensation out without saying so, and a
// declaration that does not end in its one pivot does not compile.

/// The compensation of the step that follows it in the source. Not yet a step: `after` makes it one.
public struct Undo<Action: SagaAction>: Sendable {
  let compensation: Action

  public init(by compensation: Action) { self.compensation = compensation }

  /// The step that this undoes.
  public func after(_ action: Action, givingUp bound: RetryBound = .untilDecided) -> CompensableStep<Action> {
    CompensableStep(step: SagaStep(action: action, undo: .by(compensation), bound: bound))
  }
}

/// Said, in place of a compensation, by a step that changes nothing anybody could see: a check.
public struct NothingToUndo: Sendable {
  public init() {}

  /// The step after which there is nothing to undo.
  public func after<Action: SagaAction>(_ action: Action, givingUp bound: RetryBound = .untilDecided) -> CheckStep<Action> {
    CheckStep(step: SagaStep(action: action, undo: .nothing, bound: bound))
  }
}

/// The step after which there is no way back: once it is done, the saga is completed.
public struct Pivot<Action: SagaAction>: Sendable {
  let step: SagaStep<Action>

  public init(_ action: Action) { step = SagaStep(action: action, undo: .impossible, bound: .untilDecided) }
}

/// A step with its compensation. Made by `Undo.after` alone.
public struct CompensableStep<Action: SagaAction>: Sendable {
  let step: SagaStep<Action>
}

/// A step that leaves nothing to undo. Made by `NothingToUndo.after` alone.
public struct CheckStep<Action: SagaAction>: Sendable {
  let step: SagaStep<Action>
}

/// Steps so far, with the pivot still to come.
public struct OpenSaga<Action: SagaAction>: Sendable {
  var steps: [SagaStep<Action>]
}

/// All steps, the pivot last.
public struct ClosedSaga<Action: SagaAction>: Sendable {
  let steps: [SagaStep<Action>]
}

/// Puts the parts of a declaration together, and refuses at compile time what is no saga.
@resultBuilder
public enum SagaBuilder<Action: SagaAction> {
  public static func buildExpression(_ step: CompensableStep<Action>) -> CompensableStep<Action> { step }
  public static func buildExpression(_ step: CheckStep<Action>) -> CheckStep<Action> { step }
  public static func buildExpression(_ step: Pivot<Action>) -> Pivot<Action> { step }

  public static func buildPartialBlock(first: CompensableStep<Action>) -> OpenSaga<Action> { OpenSaga(steps: [first.step]) }
  public static func buildPartialBlock(first: CheckStep<Action>) -> OpenSaga<Action> { OpenSaga(steps: [first.step]) }
  public static func buildPartialBlock(first: Pivot<Action>) -> ClosedSaga<Action> { ClosedSaga(steps: [first.step]) }

  public static func buildPartialBlock(accumulated: OpenSaga<Action>, next: CompensableStep<Action>) -> OpenSaga<Action> {
    OpenSaga(steps: accumulated.steps + [next.step])
  }
  public static func buildPartialBlock(accumulated: OpenSaga<Action>, next: CheckStep<Action>) -> OpenSaga<Action> {
    OpenSaga(steps: accumulated.steps + [next.step])
  }
  public static func buildPartialBlock(accumulated: OpenSaga<Action>, next: Pivot<Action>) -> ClosedSaga<Action> {
    ClosedSaga(steps: accumulated.steps + [next.step])
  }

  public static func buildFinalResult(_ saga: ClosedSaga<Action>) -> ClosedSaga<Action> { saga }
}
