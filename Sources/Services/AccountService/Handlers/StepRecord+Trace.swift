internal import FlorinAPI
internal import Money

extension StepRecord {
  /// The line of this row in the answer to "what happened?".
  var traceLine: TypeAPI.TraceLine {
    var fields = [
      TypeAPI.TraceField(name: "step_id", value: stepID.description), TypeAPI.TraceField(name: "state", value: state.rawValue),
      TypeAPI.TraceField(name: "caller", value: caller),
    ]
    var price = ""
    if let payer, let amountMinorUnits, let currency {
      fields.append(TypeAPI.TraceField(name: "payer_account_id", value: payer))
      fields.append(TypeAPI.TraceField(name: "amount_minor_units", value: String(amountMinorUnits)))
      fields.append(TypeAPI.TraceField(name: "currency", value: currency))
      price = Currency(code: currency).map { Amount(minorUnits: amountMinorUnits, currency: $0).description } ?? ""
    }
    if !reason.isEmpty { fields.append(TypeAPI.TraceField(name: "reason", value: reason)) }
    let (event, summary) =
      switch state {
      case .done: ("account.payer_accepted", "\(payer ?? "") may pay \(price)")
      case .declined: ("account.payer_declined", "\(payer ?? "") may not pay \(price): \(reason)")
      case .tombstone: ("account.step_forbidden", "the screening was forbidden before it came")
      }
    return TypeAPI.TraceLine(
      atUnixMicroseconds: decidedAt.microseconds, service: "account", table: "account.steps", row: stepID.description, event: event,
      summary: summary, fields: fields)
  }
}
