/// What one caller asks of the ledger in one go; decided whole, in one batch.
public struct LedgerRequest: Sendable, Hashable {
  public enum Body: Sendable, Hashable {
    /// Linked: all or none, and later members see what earlier ones did.
    case post([Posting], linked: Bool)
    case command([AccountCommand])
  }

  public let body: Body
  /// The caller's SPIFFE path, for the row: "payment", "operator/admin".
  public let requestedBy: String

  public init(_ body: Body, requestedBy: String) {
    self.body = body
    self.requestedBy = requestedBy
  }

  /// Rows that it can make: what it weighs against the limit of a batch.
  public var weight: Int {
    switch body {
    case .post(let postings, _): postings.count
    case .command(let commands): commands.count
    }
  }
}
