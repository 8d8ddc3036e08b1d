/// What became of one posting or command; final for its id. The raw values are PostgreSQL's (`ledger.posting_outcome`).
public enum PostingOutcome: String, Sendable, Hashable, CaseIterable {
  case posted
  case declined
  /// The id was forbidden before anything came under it.
  case tombstone
}
