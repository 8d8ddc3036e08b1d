internal import FlorinAPI
internal import Logging
internal import MeshProtocol
internal import Money
internal import Postgres

/// The methods of `florin.payment.v1.Payments`.
struct PaymentHandlers: PaymentAPI.PaymentsService {
  let creator: PaymentCreator
  let payments: PaymentStore
  let traces: TraceStore
  let logger: Logger

  func create(_ request: PaymentAPI.CreatePaymentRequest, context: CallContext) async throws -> RPCResponse<PaymentAPI.Payment> {
    try await answering(context) { try await creator.create(try CreateOrder(request, context), context) }
  }

  func get(_ request: PaymentAPI.GetPaymentRequest, context: CallContext) async throws -> RPCResponse<PaymentAPI.Payment> {
    try await answering(context) {
      RPCResponse(PaymentAPI.Payment(try await existing(request.paymentID)))
    }
  }

  func list(_ request: PaymentAPI.ListPaymentsRequest, context: CallContext) async throws -> RPCResponse<PaymentAPI.ListPaymentsResponse> {
    try await answering(context) {
      guard request.limit <= 1_000 else { throw PaymentRefusal.limitTooLarge(request.limit) }
      let before = request.beforeUnixMicroseconds
      let found = try await payments.payments(
        limit: request.limit == 0 ? 100 : Int(request.limit), state: try PaymentRecord.State(filter: request.state),
        before: before == 0 ? nil : Timestamp(microseconds: before))
      return RPCResponse(PaymentAPI.ListPaymentsResponse(payments: found.map { PaymentAPI.Payment($0) }))
    }
  }

  func trace(_ request: PaymentAPI.TraceRequest, context: CallContext) async throws -> RPCResponse<PaymentAPI.TraceResponse> {
    try await answering(context) {
      let payment = try await existing(request.paymentID)
      let lines = try await traces.lines(of: payment)
      return RPCResponse(PaymentAPI.TraceResponse(payment: PaymentAPI.Payment(payment), lines: lines))
    }
  }

  private func existing(_ text: String) async throws -> PaymentRecord {
    guard let uuid = UUID128(text) else { throw PaymentRefusal.paymentIDMalformed }
    guard let payment = try await payments.payment(PaymentID(uuid)) else { throw PaymentRefusal.paymentUnknown(uuid.description) }
    return payment
  }

  /// Turns what went wrong into the status that the caller gets, and counts it.
  private func answering<Response: Sendable>(
    _ context: CallContext, _ body: () async throws -> RPCResponse<Response>
  ) async throws -> RPCResponse<Response> {
    do { return try await body() } catch let refusal as PaymentRefusal {
      PaymentMetrics.refused(refusal.reason)
      if context.method == PaymentAPI.PaymentsMethods.create.path { PaymentLog.refused(refusal.reason, caller: context.peer.path, logger) }
      throw refusal.status
    } catch let error as PostgresError {
      logger.error("payment.database_failed", metadata: ["method": .string(context.method), "detail": .string(error.description)])
      throw Self.status(error)
    } catch let error as StoredPaymentError {
      logger.error("payment.unreadable", metadata: ["method": .string(context.method), "detail": .string(error.description)])
      throw RPCError(.internal, error.description)
    }
  }

  /// Whether it was stored, only `.commitUnknown` leaves open; with the same key the caller will learn.
  private static func status(_ error: PostgresError) -> RPCError {
    switch error.code {
    case .cancelled: RPCError(.cancelled, "the call was cancelled; nothing was stored")
    case .timedOut: RPCError(.deadlineExceeded, "the database did not answer in time; nothing was stored: try again with the same key")
    case .commitUnknown:
      RPCError(
        .unavailable, "the database was lost while it stored the request: send the same request with the same key again",
        trailers: ["retry-after-ms": "1000"], executed: .unknown, retryAfter: .seconds(1))
    default:
      if error.isUnavailable || error.isRetryableTransaction {
        RPCError(
          .unavailable, "the database cannot be used now; nothing was stored: try again with the same key",
          trailers: ["retry-after-ms": "1000"], retryAfter: .seconds(1))
      } else {
        RPCError(.internal, "the database refused the statement; nothing was stored. The service's log has the details")
      }
    }
  }
}
