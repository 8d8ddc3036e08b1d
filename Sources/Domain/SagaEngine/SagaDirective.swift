/// What is to be done next. Each directive but `rest` ends in at least one event in the log; those that ask somebody for
/// something write an event before they do.
public enum SagaDirective: Hashable, Sendable {
  /// Freeze the compensation, then the request; write `intent`; call; write `result`.
  case perform(step: Int)
  /// Write `resent`; call with the frozen request; write `result`.
  case resend(step: Int, attempt: Int)
  /// Ask the participant what became of the step; write `inquired`.
  case ask(step: Int, attempt: Int)
  /// Write `abandoned`.
  case abandon(step: Int, reason: String)
  /// Write `tombstoneIntent`, unless it is written; forbid the step at the participant; write `tombstoneResult`.
  case forbid(step: Int, reason: String, isWritten: Bool)
  /// Write `compensationIntent`; call with the frozen compensation; write `compensationResult`.
  case compensate(step: Int, attempt: Int)
  /// Write the verdict's event.
  case close(SagaVerdict)
  /// Nothing: the saga is over.
  case rest(SagaVerdict)
}
