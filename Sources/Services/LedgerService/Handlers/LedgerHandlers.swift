package import FlorinAPI
internal import LedgerRules
package import MeshProtocol
internal import Money
internal import Postgres

/// The ledger's methods: wire values in, the sequencer (for what changes) or the store (for what is read), wire values out.
package struct LedgerHandlers: LedgerAPI.LedgerService {
  let sequencer: Sequencer
  let reads: LedgerReads
  let clock: any WallClock

  // MARK: Writing

  package func openAccount(
    _ request: LedgerAPI.OpenLedgerAccountRequest, context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.AccountCommandResponse> {
    try await command(RequestParser.opening(request), context)
  }

  package func setAccountStatus(
    _ request: LedgerAPI.SetAccountStatusRequest, context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.AccountCommandResponse> {
    try await command([RequestParser.statusChange(request)], context)
  }

  package func post(_ request: LedgerAPI.PostRequest, context: CallContext) async throws -> RPCResponse<LedgerAPI.PostResponse> {
    try await post(try parser().postings(request), linked: request.linked, context)
  }

  package func fund(_ request: LedgerAPI.FundRequest, context: CallContext) async throws -> RPCResponse<LedgerAPI.PostResponse> {
    try await post([try parser().funding(request)], linked: false, context)
  }

  /// Answers for the last command; the others are its conditions.
  private func command(
    _ commands: [AccountCommand], _ context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.AccountCommandResponse> {
    let request = LedgerRequest(.command(commands), requestedBy: context.peer.path)
    guard let decision = try await sequencer.submit([request]).first?.last else {
      throw RPCError(.internal, "the ledger gave no answer to a command", executed: .unknown)
    }
    return RPCResponse(decision.commandResponse)
  }

  private func post(
    _ postings: [Posting], linked: Bool, _ context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.PostResponse> {
    let caller = context.peer.path
    // Unlinked postings stand alone all the way: one that the database refuses takes no other with it.
    let requests =
      linked
      ? [LedgerRequest(.post(postings, linked: true), requestedBy: caller)]
      : postings.map { LedgerRequest(.post([$0], linked: false), requestedBy: caller) }
    let decisions = try await sequencer.submit(requests).flatMap(\.self)
    guard decisions.count == postings.count else {
      throw RPCError(.internal, "the ledger answered \(decisions.count) of \(postings.count) postings", executed: .unknown)
    }
    return RPCResponse(LedgerAPI.PostResponse(results: zip(postings, decisions).map { $1.result(id: $0.id) }))
  }

  private func parser() throws(RPCError) -> RequestParser {
    guard let months = sequencer.status.snapshot.months else {
      throw RPCError(.unavailable, "the ledger is starting; try again shortly", executed: .no, retryAfter: .milliseconds(200))
    }
    return RequestParser(months: months, now: clock.now)
  }

  // MARK: Reading

  package func getBalance(
    _ request: LedgerAPI.GetBalanceRequest, context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.GetBalanceResponse> {
    let account = try RequestParser.account(request.accountID, field: "account_id")
    let at = try instant(request.atUnixMicroseconds, field: "at_unix_microseconds")
    return RPCResponse(try await reading { try await reads.balance(of: account, at: at) })
  }

  package func getStatement(
    _ request: LedgerAPI.GetStatementRequest, context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.GetStatementResponse> {
    let account = try RequestParser.account(request.accountID, field: "account_id")
    let from = try instant(request.fromUnixMicroseconds, field: "from_unix_microseconds")
    let to = try instant(request.toUnixMicroseconds, field: "to_unix_microseconds")
    if let from, let to, from >= to {
      throw RequestParser.refusal("to_unix_microseconds must be after from_unix_microseconds: the page would be empty")
    }
    guard request.limit <= 1000 else { throw RequestParser.refusal("limit is \(request.limit): at most 1,000 lines a page") }
    guard request.afterSequence <= UInt64(Int64.max) else { throw RequestParser.refusal("after_sequence is beyond any sequence number") }
    let page = StatementPage(
      from: from, to: to, limit: request.limit == 0 ? 100 : Int64(request.limit), after: Int64(request.afterSequence))
    return RPCResponse(try await reading { try await reads.statement(of: account, page) })
  }

  package func getTransfer(
    _ request: LedgerAPI.GetTransferRequest, context: CallContext
  ) async throws -> RPCResponse<LedgerAPI.TransferRecord> {
    let id = try RequestParser.uuid(request.transferID, field: "transfer_id")
    return RPCResponse(try await reading { try await reads.transfer(id) })
  }

  package func trace(_ request: LedgerAPI.TraceRequest, context: CallContext) async throws -> RPCResponse<LedgerAPI.TraceResponse> {
    let reference = try RequestParser.uuid(request.referenceID, field: "reference_id")
    return RPCResponse(LedgerAPI.TraceResponse(lines: try await reading { try await reads.trace(of: reference) }))
  }

  private func instant(_ microseconds: Int64, field: String) throws(RPCError) -> Timestamp? {
    guard microseconds >= 0 else { throw RequestParser.refusal("\(field) is negative: send microseconds since 1970, or 0") }
    return microseconds == 0 ? nil : Timestamp(microseconds: microseconds)
  }

  /// The store's errors as statuses. Reading has no effect, so it was never "executed".
  private func reading<R: Sendable>(_ body: () async throws -> R) async throws -> R {
    do {
      return try await body()
    } catch let error as PostgresError {
      switch error.code {
      case .timedOut: throw RPCError(.deadlineExceeded, "the ledger's database did not answer in time", executed: .no)
      case .cancelled: throw RPCError(.cancelled, "the caller stopped waiting", executed: .no)
      default:
        guard error.isUnavailable || error.code == .commitUnknown else { throw error }
        throw RPCError(
          .unavailable, "the ledger's database cannot be reached; try again", executed: .no, retryAfter: .milliseconds(500))
      }
    }
  }
}
