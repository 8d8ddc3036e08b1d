/// What a posting does. The raw values are PostgreSQL's (`ledger.posting_kind`).
public enum PostingKind: String, Sendable, Hashable, CaseIterable {
  case transfer, reversal, hold, release, tombstone

  /// Whether a posting of this kind, once posted, has entries.
  public var movesMoney: Bool { self == .transfer || self == .reversal }
}
