internal import Money
internal import Postgres

extension Verification {
  /// Payments against the ledger and the notifications. The payment database is read first, page by page; what a finished payment
  /// did in the other two happened before it was finished, so they are read after.
  func verifyPayments(_ books: VerifiedLedger, _ ledger: PostgresConnection, _ tallies: inout [InvariantTally]) async throws {
    var checks = PaymentChecks()
    guard let paymentTarget = targets.payment else {
      let why = "the payment database was not given"
      checks.skip(why)
      var audit = Self.auditTally("payment")
      audit.skip(why)
      tallies += checks.tallies + [audit]
      return
    }
    try await Self.with(paymentTarget, schema: "payment", logger) { payment in
      if let notificationTarget = targets.notification {
        try await Self.with(notificationTarget, schema: "notification", logger) { notification in
          try await checks.run(payment: payment, ledger: ledger, notification: notification, unfinishedLimit: unfinishedLimit)
          tallies += checks.tallies
          try await tallies.append(Self.audit("notification", notification))
        }
      } else {
        let why = "the notification database was not given"
        try await checks.run(payment: payment, ledger: ledger, notification: nil, unfinishedLimit: unfinishedLimit)
        checks.notifications.skip(why)
        var audit = Self.auditTally("notification")
        audit.skip(why)
        tallies += checks.tallies + [audit]
      }
      try await tallies.append(Self.audit("payment", payment))
    }
  }
}
