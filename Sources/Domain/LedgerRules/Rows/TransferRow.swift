internal import Digest
public import Money

/// What became of one posting: a row of `ledger.transfers`, under the posting's id.
public struct TransferRow: Sendable, Hashable {
  public var id: UUID128
  public var batchNumber: Int64
  /// Order within the batch, shared with the account events: 0, 1, 2, …
  public var position: Int64
  public var kind: PostingKind
  public var outcome: PostingOutcome
  /// `DeclineReason.rawValue`; kept as text, since a verifier must also read the reasons of versions to come.
  public var reason: String?
  /// Of a hold or release: the account that it concerns.
  public var debit: Int64?
  public var credit: Int64?
  /// Minor units.
  public var amount: Int64?
  public var currency: String?
  public var type: String?
  public var reference: UUID128
  /// The transfer reversed, or the hold released.
  public var linked: UUID128?
  /// In a linked group: the position of its first member.
  public var groupPosition: Int64?
  public var valueDate: CivilDate?
  /// Set if the reason is account_unknown: which account.
  public var unknownAccount: String?
  public var requestedBy: String
  public var fingerprint: [UInt8]
  public var createdAt: Timestamp

  public init(
    id: UUID128, batchNumber: Int64, position: Int64, kind: PostingKind, outcome: PostingOutcome, reason: String? = nil,
    debit: Int64? = nil, credit: Int64? = nil, amount: Int64? = nil, currency: String? = nil, type: String? = nil,
    reference: UUID128, linked: UUID128? = nil, groupPosition: Int64? = nil, valueDate: CivilDate? = nil,
    unknownAccount: String? = nil, requestedBy: String, fingerprint: [UInt8], createdAt: Timestamp
  ) {
    self.id = id
    self.batchNumber = batchNumber
    self.position = position
    self.kind = kind
    self.outcome = outcome
    self.reason = reason
    self.debit = debit
    self.credit = credit
    self.amount = amount
    self.currency = currency
    self.type = type
    self.reference = reference
    self.linked = linked
    self.groupPosition = groupPosition
    self.valueDate = valueDate
    self.unknownAccount = unknownAccount
    self.requestedBy = requestedBy
    self.fingerprint = fingerprint
    self.createdAt = createdAt
  }

  /// SHA-256 over every column of the row and of its entries (debit first). 32 bytes; stored beside the row as `row_hash`,
  /// so that a changed row can be named.
  public func hash(entries: [EntryRow]) -> [UInt8] {
    var encoder = CanonicalEncoder(domain: "florin.ledger.transfer", reserving: 640)
    encoder.append(id)
    encoder.append(batchNumber)
    encoder.append(position)
    encoder.append(kind.rawValue)
    encoder.append(outcome.rawValue)
    encoder.append(reason)
    encoder.append(debit)
    encoder.append(credit)
    encoder.append(amount)
    encoder.append(currency)
    encoder.append(type)
    encoder.append(reference)
    encoder.append(linked)
    encoder.append(groupPosition)
    encoder.append(valueDate.map(\.daysSinceEpoch))
    encoder.append(unknownAccount)
    encoder.append(requestedBy)
    encoder.append(fingerprint)
    encoder.append(createdAt)
    encoder.append(Int64(entries.count))
    for entry in entries {
      encoder.append(entry.accountNumber)
      encoder.append(entry.accountSequence)
      encoder.append(entry.direction.rawValue)
      encoder.append(entry.amount)
      encoder.append(entry.transferID)
      encoder.append(entry.createdAt)
    }
    return SHA256.hash(encoder.bytes)
  }
}
