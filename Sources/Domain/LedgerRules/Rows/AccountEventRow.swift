internal import Digest
public import Money

/// What became of one account command: a row of `ledger.account_events`.
public struct AccountEventRow: Sendable, Hashable {
  public var id: UUID128
  public var batchNumber: Int64
  /// Order within the batch, shared with the transfers.
  public var position: Int64
  public var kind: AccountEventKind
  public var outcome: PostingOutcome
  /// `DeclineReason.rawValue`.
  public var reason: String?
  /// Nil if there is no such account.
  public var accountNumber: Int64?
  public var accountID: String
  /// Of an opening.
  public var currency: String?
  public var policy: BalancePolicy?
  /// After the event.
  public var status: AccountStatus
  public var requestedBy: String
  public var fingerprint: [UInt8]
  public var createdAt: Timestamp

  public init(
    id: UUID128, batchNumber: Int64, position: Int64, kind: AccountEventKind, outcome: PostingOutcome, reason: String? = nil,
    accountNumber: Int64?, accountID: String, currency: String? = nil, policy: BalancePolicy? = nil, status: AccountStatus,
    requestedBy: String, fingerprint: [UInt8], createdAt: Timestamp
  ) {
    self.id = id
    self.batchNumber = batchNumber
    self.position = position
    self.kind = kind
    self.outcome = outcome
    self.reason = reason
    self.accountNumber = accountNumber
    self.accountID = accountID
    self.currency = currency
    self.policy = policy
    self.status = status
    self.requestedBy = requestedBy
    self.fingerprint = fingerprint
    self.createdAt = createdAt
  }

  /// SHA-256 over every column of the row and, if it opened an account, of the account's row. 32 bytes.
  public func hash(opened account: AccountRow?) -> [UInt8] {
    var encoder = CanonicalEncoder(domain: "florin.ledger.account_event")
    encoder.append(id)
    encoder.append(batchNumber)
    encoder.append(position)
    encoder.append(kind.rawValue)
    encoder.append(outcome.rawValue)
    encoder.append(reason)
    encoder.append(accountNumber)
    encoder.append(accountID)
    encoder.append(currency)
    encoder.append(policy?.rawValue)
    encoder.append(status.rawValue)
    encoder.append(requestedBy)
    encoder.append(fingerprint)
    encoder.append(createdAt)
    encoder.append(Int64(account == nil ? 0 : 1))
    if let account {
      encoder.append(account.number)
      encoder.append(account.id)
      encoder.append(account.currency)
      encoder.append(account.policy.rawValue)
      encoder.append(account.batchNumber)
      encoder.append(account.createdAt)
    }
    return SHA256.hash(encoder.bytes)
  }
}
