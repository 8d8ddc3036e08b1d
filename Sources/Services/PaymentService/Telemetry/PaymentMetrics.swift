internal import Metrics
internal import Money
internal import SagaEngine

/// The figures of payments: for those who are on call, and for those who count the money.
enum PaymentMetrics {
  static func finished(_ payment: PaymentRecord, after now: Timestamp) {
    let outcome = payment.state.rawValue.lowercased()
    Counter(label: "payments_total", dimensions: [("outcome", outcome), ("reason", payment.reason)]).increment()
    let amount = payment.order.amount
    Counter(label: "payments_value_minor_units_total", dimensions: [("outcome", outcome), ("currency", amount.currency.code)])
      .increment(by: amount.minorUnits)
    Metrics.Timer(label: "payments_time_to_complete", dimensions: [("outcome", outcome)])
      .recordMicroseconds(max(0, now.microseconds - payment.order.claimedAt.microseconds))
  }

  static func accepted() { Counter(label: "payments_accepted_total").increment() }
  static func replayed() { Counter(label: "payments_replays_total").increment() }
  /// Refused before or instead of a claim: bad input, a key used wrongly, no room.
  static func refused(_ reason: String) { Counter(label: "payments_refused_total", dimensions: [("reason", reason)]).increment() }
  static func takenOver() { Counter(label: "saga_takeovers_total").increment() }
  static func leaseLost() { Counter(label: "saga_leases_lost_total").increment() }
  static func quarantined() { Counter(label: "saga_quarantines_total").increment() }

  static func open(_ counts: [String: Int64]) {
    for (state, count) in counts { Gauge(label: "saga_open", dimensions: [("state", state)]).record(count) }
  }

  static func contacted(_ action: PaymentAction, _ verb: String, _ answer: some Sendable) {
    Counter(label: "saga_contacts_total", dimensions: [("action", action.name), ("verb", verb), ("answer", word(answer))]).increment()
  }

  /// "done", "declined", …: the case of an outcome or a finding.
  static func word(_ answer: some Sendable) -> String {
    let event: SagaEvent? =
      switch answer {
      case let outcome as SagaOutcome: .result(step: 0, attempt: 0, outcome)
      case let finding as SagaFinding: .inquired(step: 0, attempt: 0, finding)
      default: nil
      }
    return event.flatMap { SagaEventRecord($0).outcome } ?? "answered"
  }

  /// What a contact that decided nothing said.
  static func detail(_ event: SagaEvent) -> String { SagaEventRecord(event).detail ?? "" }
}
