internal import FlorinAPI
internal import MeshProtocol
internal import Money
internal import SagaEngine

/// Steps 1, 2 and 4: the ledger moves the money. A step is one posting or a linked pair; its posting ids stand in the frozen request.
struct LedgerParticipant: SagaParticipant {
  private let channel: any RPCChannel
  private let client: LedgerAPI.LedgerClient

  init(_ channel: any RPCChannel) {
    self.channel = channel
    client = LedgerAPI.LedgerClient(channel)
  }

  func call(_ action: PaymentAction, _ request: [UInt8]) async -> SagaOutcome {
    do throws(RPCError) {
      let reply = try await channel.unary(LedgerAPI.LedgerMethods.post, request, options: SagaCall.options)
      guard let answer = try? LedgerAPI.PostResponse(serialized: reply.message) else {
        return .ambiguous(detail: "the answer cannot be decoded")
      }
      return Self.outcome(of: answer.results, asked: Self.postings(request).count)
    } catch { return SagaOutcome(error) }
  }

  func inquire(_ intent: SagaIntent) async -> SagaFinding {
    var results: [LedgerAPI.PostingResult] = []
    for posting in Self.postings(intent.request) {
      do throws(RPCError) {
        let found = try await client.getTransfer(LedgerAPI.GetTransferRequest(transferID: posting.id), options: SagaCall.options)
        results.append(LedgerAPI.PostingResult(id: posting.id, outcome: found.outcome, reason: found.reason))
      } catch { return SagaFinding(error) }
    }
    return Self.finding(of: results)
  }

  func forbid(_ intent: SagaIntent, of payment: PaymentID) async -> SagaFinding {
    let tombstones = Self.postings(intent.request).map {
      LedgerAPI.Posting(id: $0.id, body: .tombstone(LedgerAPI.Tombstone(referenceID: payment.description)))
    }
    do throws(RPCError) {
      let answer = try await client.post(LedgerAPI.PostRequest(postings: tombstones), options: SagaCall.options)
      let finding = Self.finding(of: answer.results)
      return finding == .unknown ? .unanswered(detail: "the ledger took no tombstone") : finding
    } catch { return SagaFinding(error) }
  }

  private static func postings(_ request: [UInt8]) -> [LedgerAPI.Posting] {
    // Our own bytes, frozen by this code: that they decode was shown when they were made. None at all asks about nothing, and is
    // then a bug by the count of the results.
    (try? LedgerAPI.PostRequest(serialized: request))?.postings ?? []
  }

  /// The ledger's answer to a step: all of it, or none.
  static func outcome(of results: [LedgerAPI.PostingResult], asked: Int) -> SagaOutcome {
    guard asked > 0, results.count == asked else {
      return .bug(detail: "the ledger answered \(results.count) results to \(asked) postings")
    }
    if results.contains(where: { $0.reason == .existsWithDifferentFields }) {
      return .bug(detail: "an id of this step was used before with other fields")
    }
    switch finding(of: results) {
    case .done: return .done
    case .declined(let reason): return .declined(reason: reason)
    case .forbidden: return .declined(reason: "tombstone")
    case .unknown, .unanswered: return .bug(detail: "the ledger decided a part only: \(results.map(\.outcome))")
    }
  }

  static func finding(of results: [LedgerAPI.PostingResult]) -> SagaFinding {
    guard !results.isEmpty else { return .unanswered(detail: "no result") }
    if results.allSatisfy({ $0.outcome == .posted }) { return .done }
    if results.contains(where: { $0.outcome == .tombstone || $0.reason == .tombstone }) { return .forbidden }
    if results.allSatisfy({ $0.outcome == .declined }) {
      // Of a linked pair one member has the reason, and the other says only that it was not alone.
      let cause = results.first { $0.reason != .linkedDeclined } ?? results[0]
      return .declined(reason: cause.reason.text)
    }
    if results.allSatisfy({ $0.outcome == .unknown }) { return .unknown }
    return .unanswered(detail: "the ledger knows a part only: \(results.map(\.outcome))")
  }
}

extension LedgerAPI.Reason {
  /// Stable, snake_case: "insufficient_funds".
  var text: String {
    switch self {
    case .unspecified: "unspecified"
    case .insufficientFunds: "insufficient_funds"
    case .accountUnknown: "account_unknown"
    case .accountFrozen: "account_frozen"
    case .accountClosed: "account_closed"
    case .currencyMismatch: "currency_mismatch"
    case .sameAccount: "same_account"
    case .amountNotPositive: "amount_not_positive"
    case .balanceOverflow: "balance_overflow"
    case .existsWithDifferentFields: "exists_with_different_fields"
    case .transferUnknown: "transfer_unknown"
    case .alreadyReversed: "already_reversed"
    case .notReversible: "not_reversible"
    case .holdUnknown: "hold_unknown"
    case .holdResolved: "hold_resolved"
    case .tombstone: "tombstone"
    case .linkedDeclined: "linked_declined"
    case .balanceNotZero: "balance_not_zero"
    case .accountExists: "account_exists"
    case .unrecognized(let number): "reason_\(number)"
    }
  }
}
