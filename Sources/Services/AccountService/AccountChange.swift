/// A change of an account's status that somebody asks for.
enum AccountChange: String, Hashable, Sendable, CaseIterable {
  case open, freeze, unfreeze, close
}

/// Where an account stands, as its events say.
enum AccountStatus: String, Hashable, Sendable, CaseIterable {
  /// Asked for, but not in the ledger (yet).
  case opening
  case open, frozen, closed

  /// What asking for a change means at this status.
  enum Answer: Hashable {
    /// The ledger has to decide it.
    case ask
    /// It is so already: nothing happens.
    case already
    /// It cannot be, for this reason.
    case refused(String)
  }

  /// Opening is not asked here: an account has no status before.
  func answer(to change: AccountChange) -> Answer {
    switch (self, change) {
    case (.opening, _): .refused("account_not_open")
    case (.open, .open), (.open, .unfreeze), (.frozen, .freeze), (.closed, .close): .already
    case (.open, .freeze), (.open, .close), (.frozen, .unfreeze): .ask
    // What was frozen must be looked at before it can disappear.
    case (.frozen, .close): .refused("account_frozen")
    case (.frozen, .open), (.closed, .open): .already
    case (.closed, .freeze), (.closed, .unfreeze): .refused("account_closed")
    }
  }
}
