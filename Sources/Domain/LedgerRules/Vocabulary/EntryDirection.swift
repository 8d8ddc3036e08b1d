/// The side of an account that an entry stands on. The raw values are PostgreSQL's (`ledger.entry_direction`).
public enum EntryDirection: String, Sendable, Hashable, CaseIterable {
  case debit = "DEBIT"
  case credit = "CREDIT"

  /// What an entry of this direction does to the balance, credits minus debits.
  public var sign: Int64 { self == .credit ? 1 : -1 }
}
