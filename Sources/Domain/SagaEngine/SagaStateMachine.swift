internal import Money

/// A saga, as its log tells it: events in, the next directive out. A pure value; replaying the same events always gives the same
/// directive, which is all that recovery is.
///
/// Of a step whose last event is an intent nobody can say whether the call was made. To the process that wrote the intent this
/// is no question, it makes the call; to one that replays it the step is *in doubt*, and the directive is to ask.
public struct SagaStateMachine<Action: SagaAction>: Sendable {
  /// Where a step stands.
  public enum StepState: Hashable, Sendable {
    case untouched
    /// Asked for, with no answer that decides it.
    case undecided
    case done
    case declined
    /// It can never take effect.
    case forbidden
    case undone
  }

  struct StepRecord: Hashable, Sendable {
    var state: StepState = .untouched
    var intent: SagaIntent?
    /// Contacts: calls, and inquiries.
    var attempts = 0
    /// A call was announced, and its result has not been written.
    var isPending = false
    /// Some call ended without anybody knowing what became of it.
    var hasLostCalls = false
    var compensationAttempts = 0

    var mayHaveArrived: Bool { isPending || hasLostCalls }
  }

  /// What a forward step needs next.
  enum Need: Hashable, Sendable { case perform, resend, ask }

  enum Phase: Hashable, Sendable {
    case forward(step: Int, Need)
    case forbidding(step: Int, reason: String)
    case backward(step: Int, reason: String)
    /// Everything is decided; the terminal event is still to be written.
    case closing(SagaVerdict)
    case closed(SagaVerdict)
  }

  public let definition: SagaDefinition<Action>
  /// Events so far, `started` included.
  public private(set) var eventCount = 1
  var phase: Phase = .forward(step: 0, .perform)
  var records: [StepRecord]

  /// The reason under which a step whose retry bound has passed is given up.
  public static var givenUpReason: String { "retry_bound_passed" }

  /// A saga of which only the `started` event is written.
  public init(started definition: SagaDefinition<Action>) {
    self.definition = definition
    records = Array(repeating: StepRecord(), count: definition.steps.count)
  }

  /// The event that `init(started:)` stands for.
  public var startedEvent: SagaEvent { .started(definition: definition.name, version: definition.version) }

  /// What is to be done next.
  public var next: SagaDirective {
    switch phase {
    case .forward(let step, .perform): .perform(step: step)
    case .forward(let step, let need): retry(step, need)
    case .forbidding(let step, let reason): .forbid(step: step, reason: reason, isWritten: true)
    case .backward(let step, _): .compensate(step: step, attempt: records[step].compensationAttempts + 1)
    case .closing(let verdict): .close(verdict)
    case .closed(let verdict): .rest(verdict)
    }
  }

  /// Nil while the saga runs.
  public var verdict: SagaVerdict? {
    if case .closed(let verdict) = phase { verdict } else { nil }
  }

  /// The frozen requests of a step; nil before its intent.
  public func intent(of step: Int) -> SagaIntent? { records.indices.contains(step) ? records[step].intent : nil }

  public func state(of step: Int) -> StepState? { records.indices.contains(step) ? records[step].state : nil }

  /// Contacts made for the step so far.
  public func attempts(of step: Int) -> Int { records.indices.contains(step) ? records[step].attempts : 0 }

  private func retry(_ step: Int, _ need: Need) -> SagaDirective {
    let record = records[step]
    if definition.steps[step].bound.isPassed(after: record.attempts) {
      // What may have arrived may yet take effect: it has to be forbidden before anything is undone behind its back.
      return record.mayHaveArrived
        ? .forbid(step: step, reason: Self.givenUpReason, isWritten: false) : .abandon(step: step, reason: Self.givenUpReason)
    }
    return need == .ask ? .ask(step: step, attempt: record.attempts + 1) : .resend(step: step, attempt: record.attempts + 1)
  }

  mutating func countEvent() { eventCount += 1 }
}

extension SagaStateMachine: Equatable where Action: Equatable {}
