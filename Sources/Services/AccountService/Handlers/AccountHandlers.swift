internal import FlorinAPI
internal import Logging
internal import MeshProtocol
internal import Metrics
internal import Money
internal import Postgres
internal import ServiceRuntime

/// `florin.account.v1.Accounts`.
struct AccountHandlers: AccountAPI.AccountsService {
  let store: AccountStore
  let steps: StepStore
  let driver: ChangeDriver
  let clock: any WallClock
  let logger: Logger

  // MARK: Accounts

  func open(_ request: AccountAPI.OpenAccountRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.Account> {
    try await answering {
      let opening = try Opening(request, context)
      let (eventID, isReplay): (UUID128, Bool)
      switch try await store.requestOpening(opening, at: clock.now) {
      case .opened(let id): (eventID, isReplay) = (id, false)
      case .existed(let id): (eventID, isReplay) = (id, true)
      case .keyReused:
        throw RPCError.refusal(
          .failedPrecondition, "idempotency_key_reused", "this idempotency key was used to open another account: use a new one")
      }
      try await decided(eventID, of: opening.accountID)
      return RPCResponse(
        try await account(opening.accountID).message, trailers: isReplay ? ["idempotent-replayed": "true"] : [:])
    }
  }

  func get(_ request: AccountAPI.GetAccountRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.Account> {
    try await answering { RPCResponse(try await account(try RequestField.account(request.accountID, "account_id")).message) }
  }

  func list(_ request: AccountAPI.ListAccountsRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.ListAccountsResponse> {
    try await answering {
      let limit = try RequestField.limit(request.limit)
      let accounts = try await store.accounts(after: request.afterAccountID, limit: limit)
      return RPCResponse(AccountAPI.ListAccountsResponse(accounts: accounts.map(\.message)))
    }
  }

  func freeze(_ request: AccountAPI.ChangeStatusRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.Account> {
    try await change(.freeze, request, context)
  }

  func unfreeze(_ request: AccountAPI.ChangeStatusRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.Account> {
    try await change(.unfreeze, request, context)
  }

  func close(_ request: AccountAPI.ChangeStatusRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.Account> {
    try await change(.close, request, context)
  }

  private func change(
    _ change: AccountChange, _ request: AccountAPI.ChangeStatusRequest, _ context: CallContext
  ) async throws -> RPCResponse<AccountAPI.Account> {
    try await answering {
      let id = try RequestField.account(request.accountID, "account_id")
      let reason = try RequestField.reason(request.reason)
      // Somebody else may change the account between our look and our event; then there is a new status to judge by.
      for _ in 0..<4 {
        let account = try await account(id)
        if account.isPending {
          // An event of the account waits for the ledger: whatever becomes of it comes first.
          _ = try await driver.complete(account.lastEventID)
          continue
        }
        switch account.status.answer(to: change) {
        case .already: return RPCResponse(account.message)
        case .refused(let reason):
          throw RPCError.refusal(
            .failedPrecondition, reason, "\(id) is \(account.status.rawValue): it cannot be changed by \(change.rawValue)")
        case .ask: break
        }
        guard
          let eventID = try await store.requestChange(change, of: account, reason: reason, by: context.peer.path, at: clock.now)
        else { continue }
        try await decided(eventID, of: id)
        return RPCResponse(try await self.account(id).message)
      }
      throw RPCError.refusal(.aborted, "change_under_way", "others keep changing \(id): try again")
    }
  }

  /// Waits for the ledger's decision.
  /// - Throws: FAILED_PRECONDITION with the ledger's reason if it declined.
  private func decided(_ eventID: UUID128, of id: AccountID) async throws {
    guard case .declined(let reason) = try await driver.complete(eventID) else { return }
    let advice = reason == "balance_not_zero" ? "move the money away first, and let all holds end" : "docs/ledger.md says when that is"
    throw RPCError.refusal(.failedPrecondition, reason, "the ledger declined the change of \(id) (\(reason)): \(advice)")
  }

  private func account(_ id: AccountID) async throws -> AccountRecord {
    guard let account = try await store.account(id) else {
      throw RPCError.refusal(.notFound, "account_unknown", "there is no account \(id)")
    }
    return account
  }

  // MARK: Steps of payments

  func screenPayer(
    _ request: AccountAPI.ScreenPayerRequest, context: CallContext
  ) async throws -> RPCResponse<AccountAPI.ScreenPayerResponse> {
    try await answering {
      let screening = try Screening(request)
      let step = try await steps.screen(screening, by: context.peer.path, at: clock.now)
      // A tombstone has no request to compare with, and answers whatever comes under its id.
      guard step.fingerprint == nil || step.fingerprint == screening.fingerprint else {
        throw RPCError.refusal(
          .failedPrecondition, "step_id_reused",
          "step \(screening.stepID) was asked for before with other fields: a new step needs a new id")
      }
      Counter(label: "payer_screenings", dimensions: [("state", step.state.rawValue), ("reason", step.reason)]).increment()
      if step.state == .declined {
        logger.info(
          "account.payer_declined",
          metadata: [
            "payment_id": "\(step.paymentID)", "user_id": "\(screening.payer)", "reason": "\(step.reason)",
            "amount": .stringConvertible(screening.amount),
          ])
      }
      return RPCResponse(AccountAPI.ScreenPayerResponse(state: step.stepState, reason: step.reason))
    }
  }

  func getStep(_ request: AccountAPI.GetStepRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.GetStepResponse> {
    try await answering {
      guard let step = try await steps.step(try RequestField.uuid(request.stepID, "step_id")) else {
        return RPCResponse(AccountAPI.GetStepResponse(state: .unknown))
      }
      return RPCResponse(AccountAPI.GetStepResponse(state: step.stepState, reason: step.reason))
    }
  }

  func tombstone(_ request: AccountAPI.TombstoneRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.GetStepResponse> {
    try await answering {
      let stepID = try RequestField.uuid(request.stepID, "step_id")
      let paymentID = try RequestField.uuid(request.paymentID, "payment_id")
      let step = try await steps.forbid(stepID, of: paymentID, by: context.peer.path, at: clock.now)
      guard step.paymentID == paymentID else {
        throw RPCError.refusal(.failedPrecondition, "step_id_reused", "step \(stepID) belongs to another payment")
      }
      return RPCResponse(AccountAPI.GetStepResponse(state: step.stepState, reason: step.reason))
    }
  }

  func trace(_ request: AccountAPI.TraceRequest, context: CallContext) async throws -> RPCResponse<AccountAPI.TraceResponse> {
    try await answering {
      let steps = try await steps.steps(of: try RequestField.uuid(request.paymentID, "payment_id"))
      return RPCResponse(AccountAPI.TraceResponse(lines: steps.map(\.traceLine)))
    }
  }

  // MARK: Failures

  /// Turns the database's failures into answers, and keeps what they say for the log.
  private func answering<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    do { return try await body() } catch let error as PostgresError {
      logger.error("account.database_failed", error: error, metadata: ["detail": "\(error)"])
      throw RPCError(error)
    } catch let error as StoredAccountError {
      logger.error("account.row_unreadable", error: error, metadata: ["detail": "\(error)"])
      throw RPCError(.internal, "a stored row cannot be understood; the service's log has the details")
    }
  }
}
