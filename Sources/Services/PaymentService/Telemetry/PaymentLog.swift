internal import Logging
internal import Money

/// Log lines about payments, in one shape: event, payment_id, user_id (the payer's account, an opaque name), amount, currency, reason.
enum PaymentLog {
  static func finished(_ payment: PaymentRecord, _ detail: String, _ logger: Logger) {
    var metadata = metadata(payment)
    if !detail.isEmpty { metadata["detail"] = .string(detail) }
    switch payment.state {
    case .completed: logger.info("payment.completed", metadata: metadata)
    case .manual: logger.critical("payment.manual", metadata: metadata)
    case .declined, .compensated, .accepted: logger.notice("payment.failed", metadata: metadata)
    }
  }

  static func accepted(_ order: PaymentOrder, _ logger: Logger) {
    logger.info("payment.accepted", metadata: metadata(PaymentRecord(order: order, state: .accepted)))
  }

  static func replayed(_ payment: PaymentRecord, caller: String, _ logger: Logger) {
    var metadata = metadata(payment)
    metadata["caller"] = .string(caller)
    logger.notice("payment.replayed", metadata: metadata)
  }

  /// A request that became no payment.
  static func refused(_ reason: String, caller: String, _ logger: Logger, _ payment: PaymentRecord? = nil) {
    var metadata = payment.map { Self.metadata($0) } ?? [:]
    metadata["reason"] = .string(reason)
    metadata["caller"] = .string(caller)
    logger.notice("payment.refused", metadata: metadata)
  }

  static func metadata(_ payment: PaymentRecord) -> Logger.Metadata {
    var metadata: Logger.Metadata = [
      "payment_id": .stringConvertible(payment.order.paymentID), "user_id": .string(payment.order.payer.name),
      "amount": .stringConvertible(payment.order.amount), "state": .string(payment.state.rawValue.lowercased()),
    ]
    if !payment.reason.isEmpty { metadata["reason"] = .string(payment.reason) }
    return metadata
  }
}
