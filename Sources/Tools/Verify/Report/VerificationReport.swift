/// What a verification found. Encodes as one JSON object.
public struct VerificationReport: Sendable, Hashable, Codable {
  /// RFC 3339, UTC.
  public var startedAt: String
  public var finishedAt: String
  /// No invariant is violated, and none was skipped.
  public var passed: Bool
  /// The batch that the ledger was verified up to, and its hash (hexadecimal): what the report can later be held against.
  public var ledgerBatch: Int64
  public var ledgerHash: String
  public var invariants: [InvariantResult]

  enum CodingKeys: String, CodingKey {
    case startedAt = "started_at"
    case finishedAt = "finished_at"
    case passed
    case ledgerBatch = "ledger_batch"
    case ledgerHash = "ledger_hash"
    case invariants
  }
}

/// One invariant, and whether it holds.
public struct InvariantResult: Sendable, Hashable, Codable {
  public enum Outcome: String, Sendable, Hashable, Codable {
    case passed, failed
    /// Could not be looked at; `note` says why. Not a pass.
    case skipped
  }

  /// Stable, for machines: "ledger.chain".
  public var name: String
  /// What holds, as a sentence.
  public var statement: String
  public var outcome: Outcome
  /// Rows, accounts or payments looked at.
  public var checked: Int
  public var violations: Int
  public var firstViolation: Violation?
  public var note: String?

  enum CodingKeys: String, CodingKey {
    case name, statement, outcome, checked, violations
    case firstViolation = "first_violation"
    case note
  }
}

/// A row that an invariant does not hold for.
public struct Violation: Sendable, Hashable, Codable, CustomStringConvertible {
  public var service: String
  public var table: String
  /// The row's key, as text.
  public var row: String
  /// What is wrong with it, as a sentence.
  public var problem: String

  public var description: String { "\(service).\(table) \(row): \(problem)" }
}
