internal import Digest
internal import Money

/// What a request says, in 16 bytes: the first half of SHA-256 over its canonical encoding.
///
/// It guards a caller against its own mistake (one id, two meanings), so half the digest is enough.
public struct Fingerprint: Sendable, Hashable {
  private let value: UUID128

  /// Nil unless there are 16 bytes.
  public init?(bytes: [UInt8]) {
    guard let value = UUID128(bytes: bytes) else { return nil }
    self.value = value
  }

  private init(hashing encoder: CanonicalEncoder) {
    guard let value = UUID128(bytes: SHA256.hash(encoder.bytes).prefix(16)) else { preconditionFailure("SHA-256 has 32 bytes") }
    self.value = value
  }

  public var bytes: [UInt8] { value.bytes }

  init(of body: Posting.Body) {
    var encoder = CanonicalEncoder(domain: "florin.ledger.posting")
    switch body {
    case .transfer(let debit, let credit, let amount, let type, let reference, let valueDate):
      encoder.append(PostingKind.transfer.rawValue)
      encoder.append(debit.name)
      encoder.append(credit.name)
      encoder.append(amount.minorUnits)
      encoder.append(amount.currency.code)
      encoder.append(type)
      encoder.append(reference)
      encoder.append(valueDate.map(\.daysSinceEpoch))
    case .reversal(let target, let type, let reference):
      encoder.append(PostingKind.reversal.rawValue)
      encoder.append(target.uuid)
      encoder.append(type)
      encoder.append(reference)
    case .hold(let account, let amount, let type, let reference):
      encoder.append(PostingKind.hold.rawValue)
      encoder.append(account.name)
      encoder.append(amount.minorUnits)
      encoder.append(amount.currency.code)
      encoder.append(type)
      encoder.append(reference)
    case .release(let target, let type, let reference):
      encoder.append(PostingKind.release.rawValue)
      encoder.append(target.uuid)
      encoder.append(type)
      encoder.append(reference)
    case .tombstone(let reference):
      encoder.append(PostingKind.tombstone.rawValue)
      encoder.append(reference)
    }
    self.init(hashing: encoder)
  }

  init(of change: AccountCommand.Change, account: AccountID) {
    var encoder = CanonicalEncoder(domain: "florin.ledger.account_command")
    encoder.append(account.name)
    switch change {
    case .open(let currency, let policy):
      encoder.append(AccountEventKind.opened.rawValue)
      encoder.append(currency.code)
      encoder.append(policy.rawValue)
    case .setStatus(let status):
      encoder.append(AccountEventKind.statusSet.rawValue)
      encoder.append(status.rawValue)
    }
    self.init(hashing: encoder)
  }
}
