extension SagaEventRecord {
  /// The event of the row.
  /// - Parameter sequence: the row's number, for the error.
  /// - Throws: `SagaHistoryError.undecodable` if a column is missing, or has a value that this build does not know.
  public func event(sequence: Int) throws(SagaHistoryError) -> SagaEvent {
    func need<Value>(_ value: Value?, _ column: String) throws(SagaHistoryError) -> Value {
      guard let value else { throw .undecodable(sequence: sequence, detail: "'\(kind)' has no \(column)") }
      return value
    }
    switch kind {
    case "started": return .started(definition: try need(definition, "definition"), version: try need(version, "version"))
    case "intent": return .intent(try intent(sequence))
    case "resent": return .resent(step: try need(step, "step"), attempt: try need(attempt, "attempt"))
    case "result":
      return .result(step: try need(step, "step"), attempt: try need(attempt, "attempt"), try decodedOutcome(sequence))
    case "inquired":
      return .inquired(step: try need(step, "step"), attempt: try need(attempt, "attempt"), try decodedFinding(sequence))
    case "abandoned": return .abandoned(step: try need(step, "step"), reason: try need(reason, "reason"))
    case "tombstone_intent": return .tombstoneIntent(step: try need(step, "step"), reason: try need(reason, "reason"))
    case "tombstone_result": return .tombstoneResult(step: try need(step, "step"), try decodedFinding(sequence))
    case "compensation_intent":
      return .compensationIntent(step: try need(step, "step"), attempt: try need(attempt, "attempt"))
    case "compensation_result":
      return .compensationResult(
        step: try need(step, "step"), attempt: try need(attempt, "attempt"), try decodedOutcome(sequence))
    case "completed": return .completed
    case "declined": return .declined(reason: try need(reason, "reason"))
    case "compensated": return .compensated(reason: try need(reason, "reason"))
    case "manual": return .manual(reason: try need(reason, "reason"), detail: detail ?? "")
    default: throw .undecodable(sequence: sequence, detail: "this build knows no event '\(kind)'")
    }
  }

  private func intent(_ sequence: Int) throws(SagaHistoryError) -> SagaIntent {
    guard let step, let stepID, let request, attempt == 1 else {
      throw .undecodable(sequence: sequence, detail: "an intent needs step, attempt 1, step id and request")
    }
    switch (compensationID, compensationRequest) {
    case (nil, nil): return SagaIntent(step: step, id: stepID, request: request, compensation: nil)
    case (let id?, let bytes?):
      return SagaIntent(step: step, id: stepID, request: request, compensation: SagaCompensation(id: id, request: bytes))
    default: throw .undecodable(sequence: sequence, detail: "half a compensation")
    }
  }

  private func decodedOutcome(_ sequence: Int) throws(SagaHistoryError) -> SagaOutcome {
    switch (outcome, reason) {
    case ("done", _): return .done
    case ("declined", let reason?): return .declined(reason: reason)
    case ("transient", _): return .transient(detail: detail ?? "")
    case ("ambiguous", _): return .ambiguous(detail: detail ?? "")
    case ("bug", _): return .bug(detail: detail ?? "")
    default: throw .undecodable(sequence: sequence, detail: "no such outcome of a call: \(outcome ?? "none")")
    }
  }

  private func decodedFinding(_ sequence: Int) throws(SagaHistoryError) -> SagaFinding {
    switch (outcome, reason) {
    case ("done", _): return .done
    case ("declined", let reason?): return .declined(reason: reason)
    case ("unknown", _): return .unknown
    case ("forbidden", _): return .forbidden
    case ("unanswered", _): return .unanswered(detail: detail ?? "")
    default: throw .undecodable(sequence: sequence, detail: "no such finding: \(outcome ?? "none")")
    }
  }
}
