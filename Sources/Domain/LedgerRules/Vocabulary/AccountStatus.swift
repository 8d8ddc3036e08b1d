/// Whether an account may be moved by transfers and holds. The raw values are PostgreSQL's (`ledger.account_status`).
public enum AccountStatus: String, Sendable, Hashable, CaseIterable {
  case open
  /// Refuses transfers and holds; reversals and releases still go through, or a saga could not be undone.
  case frozen
  /// As frozen, and final.
  case closed
}
