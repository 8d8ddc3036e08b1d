public import Money

/// A change to what postings are judged by: it goes the same way as they do, in the same hashed batches.
public struct AccountCommand: Sendable, Hashable {
  public enum Change: Sendable, Hashable {
    case open(currency: Currency, policy: BalancePolicy)
    case setStatus(AccountStatus)
  }

  /// Any UUID; sending the command again under the same one answers the same.
  public let eventID: UUID128
  public let account: AccountID
  public let change: Change
  public let fingerprint: Fingerprint

  public init(eventID: UUID128, account: AccountID, change: Change) {
    self.eventID = eventID
    self.account = account
    self.change = change
    fingerprint = Fingerprint(of: change, account: account)
  }

  public var kind: AccountEventKind {
    switch change {
    case .open: .opened
    case .setStatus: .statusSet
    }
  }

  /// Name space of the event ids that `opening(system:…)` makes (RFC 9562, version 5).
  private static let systemSpace = UUID128(high: 0x6c65_6467_6572_4f70, low: 0x8e73_7973_7465_6d00)

  /// Opens one of the ledger's own accounts (clearing, external funding): whoever asks, and however often, it is one event.
  public static func opening(system account: AccountID, currency: Currency) -> AccountCommand {
    AccountCommand(
      eventID: .named(Array(account.name.utf8), in: systemSpace), account: account,
      change: .open(currency: currency, policy: .unlimited))
  }
}
