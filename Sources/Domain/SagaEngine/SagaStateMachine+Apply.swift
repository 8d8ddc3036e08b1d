extension SagaStateMachine {
  /// Takes the next event of the log.
  /// - Throws: `SagaHistoryError` if it cannot follow the events before it; the machine is then as it was.
  public mutating func apply(_ event: SagaEvent) throws(SagaHistoryError) {
    var next = self
    try next.take(event)
    next.countEvent()
    self = next
  }

  /// What would be next after these events, without taking them.
  public func applying(_ events: [SagaEvent]) throws(SagaHistoryError) -> Self {
    var copy = self
    for event in events { try copy.apply(event) }
    return copy
  }

  private mutating func take(_ event: SagaEvent) throws(SagaHistoryError) {
    if case .closed = phase { throw .afterTheEnd }
    if let step = event.step, !records.indices.contains(step) { throw .unknownStep(step) }
    switch event {
    case .started: throw .startedTwice
    case .intent(let intent): try takeIntent(intent)
    case .resent(let step, let attempt): try takeResent(step, attempt)
    case .result(let step, let attempt, let outcome): try takeResult(step, attempt, outcome)
    case .inquired(let step, let attempt, let finding): try takeInquired(step, attempt, finding)
    case .abandoned(let step, let reason): try takeAbandoned(step, reason)
    case .tombstoneIntent(let step, let reason): try takeTombstoneIntent(step, reason)
    case .tombstoneResult(let step, let finding): try takeTombstoneResult(step, finding)
    case .compensationIntent(let step, let attempt): try takeCompensationIntent(step, attempt)
    case .compensationResult(let step, let attempt, let outcome): try takeCompensationResult(step, attempt, outcome)
    case .completed, .declined, .compensated: try takeVerdict(event)
    // Legal at any time: a person, or a process that cannot encode the next request, stops the saga where it stands.
    case .manual(let reason, let detail): phase = .closed(.manual(reason: reason, detail: detail))
    }
  }

  // MARK: Forward

  private mutating func takeIntent(_ intent: SagaIntent) throws(SagaHistoryError) {
    guard phase == .forward(step: intent.step, .perform) else { throw illegal(.intent(intent)) }
    let needsCompensation = definition.steps[intent.step].compensation != nil
    guard needsCompensation == (intent.compensation != nil) else { throw .compensationMismatch(step: intent.step) }
    records[intent.step].intent = intent
    records[intent.step].state = .undecided
    records[intent.step].attempts = 1
    records[intent.step].isPending = true
    phase = .forward(step: intent.step, .ask)
  }

  private mutating func takeResent(_ step: Int, _ attempt: Int) throws(SagaHistoryError) {
    guard case .forward(step, .resend) = phase else { throw illegal(.resent(step: step, attempt: attempt)) }
    try checkNextAttempt(step, attempt)
    records[step].attempts = attempt
    records[step].isPending = true
    phase = .forward(step: step, .ask)
  }

  private mutating func takeResult(_ step: Int, _ attempt: Int, _ outcome: SagaOutcome) throws(SagaHistoryError) {
    let event = SagaEvent.result(step: step, attempt: attempt, outcome)
    guard case .forward(step, let need) = phase, need != .perform else { throw illegal(event) }
    if records[step].isPending, attempt == records[step].attempts {
      // The usual case: the answer to the call just announced.
    } else {
      // Steps that are tried until they are decided need not announce every one of a thousand attempts: their first intent
      // already says that the call may have been made. A bounded step must, or nobody could say that none is on its way.
      guard definition.steps[step].bound == .untilDecided else { throw illegal(event) }
      guard attempt > records[step].attempts else {
        throw .attemptOutOfOrder(step: step, attempt: attempt, expected: records[step].attempts + 1)
      }
      if records[step].isPending { records[step].hasLostCalls = true }
    }
    records[step].attempts = attempt
    records[step].isPending = false
    switch outcome {
    case .done: stepDone(step)
    case .declined(let reason): stepDeclined(step, reason)
    case .transient: phase = .forward(step: step, .resend)
    case .ambiguous:
      records[step].hasLostCalls = true
      phase = .forward(step: step, .ask)
    case .bug(let detail): phase = .closing(.manual(reason: "bug", detail: detail))
    }
  }

  private mutating func takeInquired(_ step: Int, _ attempt: Int, _ finding: SagaFinding) throws(SagaHistoryError) {
    guard case .forward(step, .ask) = phase else { throw illegal(.inquired(step: step, attempt: attempt, finding)) }
    try checkNextAttempt(step, attempt)
    records[step].attempts = attempt
    records[step].isPending = false
    switch finding {
    case .done: stepDone(step)
    case .declined(let reason): stepDeclined(step, reason)
    // Somebody else forbade it; that decides it as a refusal does.
    case .forbidden: stepDeclined(step, "tombstone")
    case .unknown:
      records[step].hasLostCalls = true
      phase = .forward(step: step, .resend)
    case .unanswered: records[step].hasLostCalls = true
    }
  }

  private mutating func stepDone(_ step: Int) {
    records[step].state = .done
    phase = step + 1 < definition.steps.count ? .forward(step: step + 1, .perform) : .closing(.completed)
  }

  private mutating func stepDeclined(_ step: Int, _ reason: String) {
    records[step].state = .declined
    goBack(below: step, reason)
  }

  // MARK: Giving up

  private mutating func takeAbandoned(_ step: Int, _ reason: String) throws(SagaHistoryError) {
    guard next == .abandon(step: step, reason: reason) else { throw illegal(.abandoned(step: step, reason: reason)) }
    records[step].state = .forbidden
    goBack(below: step, reason)
  }

  private mutating func takeTombstoneIntent(_ step: Int, _ reason: String) throws(SagaHistoryError) {
    guard next == .forbid(step: step, reason: reason, isWritten: false) else {
      throw illegal(.tombstoneIntent(step: step, reason: reason))
    }
    phase = .forbidding(step: step, reason: reason)
  }

  private mutating func takeTombstoneResult(_ step: Int, _ finding: SagaFinding) throws(SagaHistoryError) {
    guard case .forbidding(step, let reason) = phase else { throw illegal(.tombstoneResult(step: step, finding)) }
    switch finding {
    case .forbidden:
      records[step].state = .forbidden
      goBack(below: step, reason)
    case .declined(let refusal):
      records[step].state = .declined
      goBack(below: step, refusal)
    case .done:
      // The original came first. It was given up all the same, so it is undone with the others, once.
      records[step].state = .done
      goBack(below: step + 1, reason)
    case .unanswered: break
    // A tombstone is an answer: a participant that took it and knows nothing has broken its word.
    case .unknown: throw illegal(.tombstoneResult(step: step, finding))
    }
  }

  // MARK: Backward

  private mutating func goBack(below limit: Int, _ reason: String) {
    let last = records.indices.last { $0 < limit && records[$0].state == .done && definition.steps[$0].compensation != nil }
    if let last {
      phase = .backward(step: last, reason: reason)
    } else if records.contains(where: { $0.state == .undone }) {
      phase = .closing(.compensated(reason: reason))
    } else {
      phase = .closing(.declined(reason: reason))
    }
  }

  private mutating func takeCompensationIntent(_ step: Int, _ attempt: Int) throws(SagaHistoryError) {
    guard case .backward(step, _) = phase else { throw illegal(.compensationIntent(step: step, attempt: attempt)) }
    guard attempt > records[step].compensationAttempts else {
      throw .attemptOutOfOrder(step: step, attempt: attempt, expected: records[step].compensationAttempts + 1)
    }
    records[step].compensationAttempts = attempt
  }

  private mutating func takeCompensationResult(_ step: Int, _ attempt: Int, _ outcome: SagaOutcome) throws(SagaHistoryError) {
    guard case .backward(step, let reason) = phase, records[step].compensationAttempts > 0 else {
      throw illegal(.compensationResult(step: step, attempt: attempt, outcome))
    }
    guard attempt >= records[step].compensationAttempts else {
      throw .attemptOutOfOrder(step: step, attempt: attempt, expected: records[step].compensationAttempts)
    }
    records[step].compensationAttempts = attempt
    switch outcome {
    case .done:
      records[step].state = .undone
      goBack(below: step, reason)
    case .declined(let refusal): phase = .closing(.manual(reason: "compensation_refused", detail: refusal))
    // The frozen compensation is sent again under its own id: its answer tells what became of the first.
    case .transient, .ambiguous: break
    case .bug(let detail): phase = .closing(.manual(reason: "bug", detail: detail))
    }
  }

  // MARK: The end

  private mutating func takeVerdict(_ event: SagaEvent) throws(SagaHistoryError) {
    guard case .closing(let verdict) = phase, verdict.event == event else { throw illegal(event) }
    phase = .closed(verdict)
  }

  // MARK: Checks

  private func checkNextAttempt(_ step: Int, _ attempt: Int) throws(SagaHistoryError) {
    let expected = records[step].attempts + 1
    let isBounded = definition.steps[step].bound != .untilDecided
    guard attempt == expected || (attempt > expected && !isBounded) else {
      throw .attemptOutOfOrder(step: step, attempt: attempt, expected: expected)
    }
  }

  private func illegal(_ event: SagaEvent) -> SagaHistoryError {
    .illegal(event: SagaEventRecord(event).kind + (event.step.map { " of step \($0)" } ?? ""), state: phaseName)
  }

  /// Where the saga stands, in a word or two: for errors, logs and the trace.
  public var phaseName: String {
    switch phase {
    case .forward(let step, .perform): "before \(definition.steps[step].action.name)"
    case .forward(let step, .ask): "\(definition.steps[step].action.name) in doubt"
    case .forward(let step, .resend): "\(definition.steps[step].action.name) to be sent again"
    case .forbidding(let step, _): "forbidding \(definition.steps[step].action.name)"
    case .backward(let step, _): "undoing \(definition.steps[step].action.name)"
    case .closing: "closing"
    case .closed: "closed"
    }
  }
}
