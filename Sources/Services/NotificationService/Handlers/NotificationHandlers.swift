internal import FlorinAPI
internal import Logging
internal import MeshProtocol
internal import Metrics
internal import Money
internal import Postgres
internal import ServiceRuntime

/// `florin.notification.v1.Notifications`.
struct NotificationHandlers: NotificationAPI.NotificationsService {
  let steps: StepStore
  let suppressions: SuppressionStore
  let clock: any WallClock
  let logger: Logger

  func submit(_ request: NotificationAPI.SubmitRequest, context: CallContext) async throws -> RPCResponse<NotificationAPI.SubmitResponse> {
    try await answering {
      let submission = try Submission(request)
      let step = try await steps.decide(submission, by: context.peer.path, at: clock.now)
      // A tombstone has no request to compare with, and answers whatever comes under its id.
      guard step.content == nil || step.content?.fingerprint == submission.fingerprint else {
        throw RPCError.refusal(
          .failedPrecondition, "step_id_reused",
          "step \(submission.stepID) was asked for before with other fields: a new step needs a new id")
      }
      Counter(
        label: "notifications", dimensions: [("kind", submission.kind.rawValue), ("state", step.state.rawValue), ("reason", step.reason)]
      ).increment()
      logger.info(
        "notification.\(submission.kind.rawValue)_\(step.state == .done ? "accepted" : "declined")",
        metadata: [
          "payment_id": "\(submission.paymentID)", "user_id": "\(submission.payer)", "reason": "\(step.reason)",
          "amount": .stringConvertible(submission.amount),
        ].filter { $0.key != "reason" || !step.reason.isEmpty })
      return RPCResponse(step.reply)
    }
  }

  func getStep(
    _ request: NotificationAPI.GetStepRequest, context: CallContext
  ) async throws -> RPCResponse<NotificationAPI.SubmitResponse> {
    try await answering {
      let step = try await steps.step(try RequestField.uuid(request.stepID, "step_id"))
      return RPCResponse(step?.reply ?? NotificationAPI.SubmitResponse(state: .unknown))
    }
  }

  func tombstone(
    _ request: NotificationAPI.TombstoneRequest, context: CallContext
  ) async throws -> RPCResponse<NotificationAPI.SubmitResponse> {
    try await answering {
      let stepID = try RequestField.uuid(request.stepID, "step_id")
      let paymentID = try RequestField.uuid(request.paymentID, "payment_id")
      let step = try await steps.forbid(stepID, of: paymentID, by: context.peer.path, at: clock.now)
      guard step.paymentID == paymentID else {
        throw RPCError.refusal(.failedPrecondition, "step_id_reused", "step \(stepID) belongs to another payment")
      }
      return RPCResponse(step.reply)
    }
  }

  func list(_ request: NotificationAPI.ListRequest, context: CallContext) async throws -> RPCResponse<NotificationAPI.ListResponse> {
    try await answering {
      let limit = try RequestField.limit(request.limit)
      let payment = request.paymentID.isEmpty ? nil : try RequestField.uuid(request.paymentID, "payment_id")
      let accepted = try await steps.accepted(of: payment, limit: limit)
      return RPCResponse(NotificationAPI.ListResponse(notifications: accepted.compactMap(\.message)))
    }
  }

  func setSuppression(
    _ request: NotificationAPI.SetSuppressionRequest, context: CallContext
  ) async throws -> RPCResponse<NotificationAPI.SetSuppressionResponse> {
    try await answering {
      let account = try RequestField.account(request.accountID, "account_id")
      let reason = try RequestField.reason(request.reason)
      let changed = try await suppressions.set(
        account, suppressed: request.suppressed, reason: reason, by: context.peer.path, at: clock.now)
      if changed {
        logger.info(
          request.suppressed ? "notification.suppressed" : "notification.unsuppressed",
          metadata: ["user_id": "\(account)", "reason": "\(reason)"])
      }
      return RPCResponse(NotificationAPI.SetSuppressionResponse())
    }
  }

  func trace(_ request: NotificationAPI.TraceRequest, context: CallContext) async throws -> RPCResponse<NotificationAPI.TraceResponse> {
    try await answering {
      var lines: [TypeAPI.TraceLine] = []
      for step in try await steps.steps(of: try RequestField.uuid(request.paymentID, "payment_id")) {
        if let name = step.suppressedAccount, let account = AccountID(name), let sequence = step.suppressionSequence,
          let suppression = try await suppressions.event(account, sequence: sequence)
        {
          lines.append(suppression.traceLine)
        }
        lines.append(step.traceLine)
      }
      return RPCResponse(NotificationAPI.TraceResponse(lines: lines))
    }
  }

  /// Turns the database's failures into answers, and keeps what they say for the log.
  private func answering<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    do { return try await body() } catch let error as PostgresError {
      logger.error("notification.database_failed", error: error, metadata: ["detail": "\(error)"])
      throw RPCError(error)
    } catch let error as StoredStepError {
      logger.error("notification.row_unreadable", error: error, metadata: ["detail": "\(error)"])
      throw RPCError(.internal, "a stored row cannot be understood; the service's log has the details")
    }
  }
}
