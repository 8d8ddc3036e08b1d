internal import FlorinAPI
internal import MeshProtocol
internal import Money

/// Tells the ledger of an account's events. The event's id makes each of them take effect once, however often it is sent.
struct LedgerGateway: Sendable {
  private let client: LedgerAPI.LedgerClient
  /// The ledger answers in milliseconds; whoever waits for us should not give up before we do.
  private static let options = CallOptions(timeout: .seconds(4), detached: true, waitForReady: true)

  init(_ channel: any RPCChannel) { client = LedgerAPI.LedgerClient(channel) }

  /// What the ledger decided.
  /// - Throws: `RPCError`; nothing is decided then, or it is not known: send it again.
  func apply(_ event: AccountEvent) async throws(RPCError) -> AccountEvent.Result {
    let response =
      if let status = event.change.ledgerStatus {
        try await client.setAccountStatus(
          LedgerAPI.SetAccountStatusRequest(eventID: event.id.description, accountID: event.accountID.name, status: status),
          options: Self.options)
      } else {
        try await client.openAccount(
          LedgerAPI.OpenLedgerAccountRequest(
            eventID: event.id.description, accountID: event.accountID.name, currency: event.currency, policy: .limited),
          options: Self.options)
      }
    switch response.outcome {
    case .posted:
      guard let batch = Int64(exactly: response.batchNumber) else {
        throw RPCError(.internal, "the ledger named batch \(response.batchNumber), which cannot be")
      }
      return .posted(bookedAt: Timestamp(microseconds: response.bookedAtUnixMicroseconds), batch: batch)
    case .declined: return .declined(reason: response.reason.snakeCase)
    case .unspecified, .tombstone, .unknown, .unrecognized:
      throw RPCError(.internal, "the ledger answered \(response.outcome) to event \(event.id), which is no answer to it")
    }
  }
}

extension AccountChange {
  /// Nil: the ledger has a call of its own for it.
  fileprivate var ledgerStatus: LedgerAPI.AccountStatus? {
    switch self {
    case .open: nil
    case .freeze: .frozen
    case .unfreeze: .open
    case .close: .closed
    }
  }
}

extension LedgerAPI.Reason {
  /// "REASON_BALANCE_NOT_ZERO" → "balance_not_zero".
  fileprivate var snakeCase: String {
    let name = description
    return (name.hasPrefix("REASON_") ? String(name.dropFirst(7)) : "reason_\(name)").lowercased()
  }
}
