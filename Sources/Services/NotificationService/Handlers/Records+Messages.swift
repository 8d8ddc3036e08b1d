internal import FlorinAPI
internal import Money

extension StepRecord {
  /// Nil for a tombstone.
  var message: NotificationAPI.Notification? {
    guard let content else { return nil }
    return NotificationAPI.Notification(
      stepID: stepID.description, kind: content.kind == .confirmation ? .confirmation : .reversal, paymentID: paymentID.description,
      payerAccountID: content.payer, payeeAccountID: content.payee,
      amount: TypeAPI.Money(minorUnits: content.amountMinorUnits, currency: content.currency),
      acceptedAtUnixMicroseconds: state == .done ? decidedAt.microseconds : 0, reversesStepID: content.reverses?.description ?? "")
  }

  /// The line of this row in the answer to "what happened?".
  var traceLine: TypeAPI.TraceLine {
    var fields = [
      TypeAPI.TraceField(name: "step_id", value: stepID.description), TypeAPI.TraceField(name: "state", value: state.rawValue),
      TypeAPI.TraceField(name: "caller", value: caller),
    ]
    if let content {
      fields += [
        TypeAPI.TraceField(name: "payer_account_id", value: content.payer),
        TypeAPI.TraceField(name: "payee_account_id", value: content.payee),
        TypeAPI.TraceField(name: "amount_minor_units", value: String(content.amountMinorUnits)),
        TypeAPI.TraceField(name: "currency", value: content.currency),
      ]
      if let reverses = content.reverses { fields.append(TypeAPI.TraceField(name: "reverses_step_id", value: reverses.description)) }
    }
    if !reason.isEmpty { fields.append(TypeAPI.TraceField(name: "reason", value: reason)) }
    let kind = content?.kind.rawValue ?? "step"
    let (event, summary) =
      switch state {
      case .done: ("notification.\(kind)_accepted", "a \(kind) to payer and payee was accepted")
      case .declined: ("notification.\(kind)_declined", "a \(kind) was declined: \(suppressedAccount ?? "an account") is suppressed")
      case .tombstone: ("notification.step_forbidden", "the notification was forbidden before it came")
      }
    return TypeAPI.TraceLine(
      atUnixMicroseconds: decidedAt.microseconds, service: "notification", table: "notification.steps", row: stepID.description,
      event: event, summary: summary, fields: fields)
  }
}

extension Suppression {
  /// The line of this row in the answer to "what happened?".
  var traceLine: TypeAPI.TraceLine {
    TypeAPI.TraceLine(
      atUnixMicroseconds: createdAt.microseconds, service: "notification", table: "notification.suppression_events",
      row: "\(account)/\(sequence)", event: suppressed ? "notification.suppressed" : "notification.unsuppressed",
      summary: suppressed ? "\(account) must not be written to" : "\(account) may be written to again",
      fields: [
        TypeAPI.TraceField(name: "account_id", value: account.name), TypeAPI.TraceField(name: "reason", value: reason),
        TypeAPI.TraceField(name: "caller", value: caller),
      ])
  }
}
