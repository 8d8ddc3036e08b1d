/// Which balances an account may have. The raw values are PostgreSQL's (`ledger.balance_policy`).
public enum BalancePolicy: String, Sendable, Hashable, CaseIterable {
  /// May not be overdrawn: posted minus held never falls below zero.
  case limited
  /// May have any balance: clearing, external funding, fees.
  case unlimited
}
