public import Money

/// One event as a row: plain columns that a person can read with SQL. Of these columns, and of no others, every event is made.
public struct SagaEventRecord: Hashable, Sendable {
  /// "intent", "result", …
  public var kind: String
  public var step: Int?
  public var attempt: Int?
  /// How a call or an inquiry ended: "done", "declined", "transient", ….
  public var outcome: String?
  /// snake_case; of the business, or of the saga.
  public var reason: String?
  /// For people.
  public var detail: String?
  public var stepID: UUID128?
  public var request: [UInt8]?
  public var compensationID: UUID128?
  public var compensationRequest: [UInt8]?
  public var definition: String?
  public var version: Int?

  public init(
    kind: String, step: Int? = nil, attempt: Int? = nil, outcome: String? = nil, reason: String? = nil, detail: String? = nil,
    stepID: UUID128? = nil, request: [UInt8]? = nil, compensationID: UUID128? = nil, compensationRequest: [UInt8]? = nil,
    definition: String? = nil, version: Int? = nil
  ) {
    self.kind = kind
    self.step = step
    self.attempt = attempt
    self.outcome = outcome
    self.reason = reason
    self.detail = detail
    self.stepID = stepID
    self.request = request
    self.compensationID = compensationID
    self.compensationRequest = compensationRequest
    self.definition = definition
    self.version = version
  }

  /// The row of an event.
  public init(_ event: SagaEvent) {
    switch event {
    case .started(let definition, let version):
      self.init(kind: "started", definition: definition, version: version)
    case .intent(let intent):
      self.init(
        kind: "intent", step: intent.step, attempt: 1, stepID: intent.id, request: intent.request,
        compensationID: intent.compensation?.id, compensationRequest: intent.compensation?.request)
    case .resent(let step, let attempt): self.init(kind: "resent", step: step, attempt: attempt)
    case .result(let step, let attempt, let outcome):
      self.init(kind: "result", step: step, attempt: attempt)
      set(outcome)
    case .inquired(let step, let attempt, let finding):
      self.init(kind: "inquired", step: step, attempt: attempt)
      set(finding)
    case .abandoned(let step, let reason): self.init(kind: "abandoned", step: step, reason: reason)
    case .tombstoneIntent(let step, let reason): self.init(kind: "tombstone_intent", step: step, reason: reason)
    case .tombstoneResult(let step, let finding):
      self.init(kind: "tombstone_result", step: step)
      set(finding)
    case .compensationIntent(let step, let attempt): self.init(kind: "compensation_intent", step: step, attempt: attempt)
    case .compensationResult(let step, let attempt, let outcome):
      self.init(kind: "compensation_result", step: step, attempt: attempt)
      set(outcome)
    case .completed: self.init(kind: "completed")
    case .declined(let reason): self.init(kind: "declined", reason: reason)
    case .compensated(let reason): self.init(kind: "compensated", reason: reason)
    case .manual(let reason, let detail): self.init(kind: "manual", reason: reason, detail: detail)
    }
  }

  private mutating func set(_ outcome: SagaOutcome) {
    switch outcome {
    case .done: self.outcome = "done"
    case .declined(let reason): (self.outcome, self.reason) = ("declined", reason)
    case .transient(let detail): (self.outcome, self.detail) = ("transient", detail)
    case .ambiguous(let detail): (self.outcome, self.detail) = ("ambiguous", detail)
    case .bug(let detail): (self.outcome, self.detail) = ("bug", detail)
    }
  }

  private mutating func set(_ finding: SagaFinding) {
    switch finding {
    case .done: outcome = "done"
    case .declined(let reason): (outcome, self.reason) = ("declined", reason)
    case .unknown: outcome = "unknown"
    case .forbidden: outcome = "forbidden"
    case .unanswered(let detail): (outcome, self.detail) = ("unanswered", detail)
    }
  }
}
