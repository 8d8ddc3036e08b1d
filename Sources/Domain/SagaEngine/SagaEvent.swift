public import Money

/// One fact in the life of a saga, as it stands in the log. The log is the saga: everything else is derived from it.
public enum SagaEvent: Hashable, Sendable {
  /// The first event. Pins the definition.
  case started(definition: String, version: Int)
  /// The step will be asked for, for the first time, with exactly these bytes; and undone, should it come to that, with exactly those.
  case intent(SagaIntent)
  /// The step will be asked for again, under the same id, with the same bytes. `attempt` counts from 1, the first intent.
  case resent(step: Int, attempt: Int)
  /// How a call for the step ended.
  case result(step: Int, attempt: Int, SagaOutcome)
  /// What the participant answered when it was asked what had become of a step in doubt.
  case inquired(step: Int, attempt: Int, SagaFinding)
  /// The step is given up, and certainly never reached its participant: there is nothing to forbid.
  case abandoned(step: Int, reason: String)
  /// The step is given up, and may have reached its participant: it will be forbidden under its id.
  case tombstoneIntent(step: Int, reason: String)
  /// What the participant answered to the tombstone.
  case tombstoneResult(step: Int, SagaFinding)
  /// The compensation will be asked for, with the bytes frozen in the step's intent.
  case compensationIntent(step: Int, attempt: Int)
  /// How a call for the compensation ended. Declined means refused: a person must look at it.
  case compensationResult(step: Int, attempt: Int, SagaOutcome)
  /// Terminal: every step is done.
  case completed
  /// Terminal: a step was refused before anything was done that needs undoing.
  case declined(reason: String)
  /// Terminal: a step failed, and everything done before it was undone.
  case compensated(reason: String)
  /// Terminal until a person acts.
  case manual(reason: String, detail: String)
}

extension SagaEvent {
  /// The step it is about, if it is about one.
  public var step: Int? {
    switch self {
    case .intent(let intent): intent.step
    case .resent(let step, _), .result(let step, _, _), .inquired(let step, _, _), .abandoned(let step, _),
      .tombstoneIntent(let step, _), .tombstoneResult(let step, _), .compensationIntent(let step, _),
      .compensationResult(let step, _, _):
      step
    case .started, .completed, .declined, .compensated, .manual: nil
    }
  }

  /// True if it reports a contact that decided nothing: wait a while before the next.
  public var callsForPause: Bool {
    switch self {
    case .result(_, _, .transient), .result(_, _, .ambiguous), .inquired(_, _, .unanswered), .tombstoneResult(_, .unanswered),
      .compensationResult(_, _, .transient), .compensationResult(_, _, .ambiguous):
      true
    default: false
    }
  }
}

/// What is written before a step is asked for.
public struct SagaIntent: Hashable, Sendable {
  /// Position in the definition, from 0.
  public let step: Int
  /// The id under which the participant knows the step. The same for every attempt.
  public let id: UUID128
  /// The request, frozen: every attempt sends these bytes.
  public let request: [UInt8]
  /// Nil for a step that has no compensation, and only then.
  public let compensation: SagaCompensation?

  public init(step: Int, id: UUID128, request: [UInt8], compensation: SagaCompensation?) {
    self.step = step
    self.id = id
    self.request = request
    self.compensation = compensation
  }
}

/// A compensation, frozen before the step that it would undo is asked for.
public struct SagaCompensation: Hashable, Sendable {
  public let id: UUID128
  public let request: [UInt8]

  public init(id: UUID128, request: [UInt8]) {
    self.id = id
    self.request = request
  }
}

/// How one call ended, by what may be done next.
public enum SagaOutcome: Hashable, Sendable {
  /// It took effect.
  case done
  /// It was refused for good, for a reason of the business: compensate. The reason is snake_case and stable.
  case declined(reason: String)
  /// It certainly did not take effect: try again.
  case transient(detail: String)
  /// It may have taken effect. A time-out is this, not a failure: ask, then send again.
  case ambiguous(detail: String)
  /// It can never succeed as it is, and the reason is ours: a person must look at it.
  case bug(detail: String)
}

/// What a participant knows of a step.
public enum SagaFinding: Hashable, Sendable {
  case done
  case declined(reason: String)
  /// Nothing is known under the id; it may still be on its way.
  case unknown
  /// A tombstone stands under the id: it can never take effect.
  case forbidden
  /// The participant could not be asked.
  case unanswered(detail: String)
}

/// How a saga ended.
public enum SagaVerdict: Hashable, Sendable {
  case completed
  case declined(reason: String)
  case compensated(reason: String)
  case manual(reason: String, detail: String)

  /// The event that says so in the log.
  public var event: SagaEvent {
    switch self {
    case .completed: .completed
    case .declined(let reason): .declined(reason: reason)
    case .compensated(let reason): .compensated(reason: reason)
    case .manual(let reason, let detail): .manual(reason: reason, detail: detail)
    }
  }
}
