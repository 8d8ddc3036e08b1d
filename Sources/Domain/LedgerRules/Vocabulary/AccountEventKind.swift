/// What an account command does. The raw values are PostgreSQL's (`ledger.account_event_kind`).
public enum AccountEventKind: String, Sendable, Hashable, CaseIterable {
  case opened
  case statusSet = "status_set"
}
