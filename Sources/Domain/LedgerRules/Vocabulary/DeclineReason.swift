/// Why a posting or command was declined. The raw values are stored and shown, so they never change.
public enum DeclineReason: String, Sendable, Hashable, CaseIterable {
  case insufficientFunds = "insufficient_funds"
  case accountUnknown = "account_unknown"
  case accountFrozen = "account_frozen"
  case accountClosed = "account_closed"
  case currencyMismatch = "currency_mismatch"
  case sameAccount = "same_account"
  case amountNotPositive = "amount_not_positive"
  /// A balance, or a balance less its holds, would leave Int64.
  case balanceOverflow = "balance_overflow"
  /// The id was used before with other fields. An answer only: never stored, since the id already has its row.
  case existsWithDifferentFields = "exists_with_different_fields"
  case transferUnknown = "transfer_unknown"
  case alreadyReversed = "already_reversed"
  /// Only a posted transfer can be reversed: no reversal, hold, release or declined posting.
  case notReversible = "not_reversible"
  case holdUnknown = "hold_unknown"
  case holdResolved = "hold_resolved"
  /// The id was forbidden by a tombstone. An answer only.
  case tombstone = "tombstone"
  /// Another member of the linked group was declined.
  case linkedDeclined = "linked_declined"
  /// An account with a balance or an open hold cannot be closed.
  case balanceNotZero = "balance_not_zero"
  case accountExists = "account_exists"
}
