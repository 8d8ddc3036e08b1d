public import Money

/// What `initialize` found, and what it did.
public struct AuthorityReport: Sendable, Hashable {
  /// What happened to one certificate.
  public enum Action: Sendable, Hashable, CustomStringConvertible {
    case created
    case kept
    /// It was there, and was made again: why.
    case renewed(reason: String)

    public var description: String {
      switch self {
      case .created: "created"
      case .kept: "kept"
      case .renewed(let reason): "renewed: \(reason)"
      }
    }
  }

  /// One certificate.
  public struct Item: Sendable, Hashable {
    /// "ca/root", "ca/intermediate", or the leaf's name.
    public let name: String
    public let action: Action
    public let notAfter: Timestamp
    /// Where its files are.
    public let directory: String
  }

  public let authority: Authority
  public internal(set) var items: [Item]

  /// True if nothing had to be made.
  public var isUnchanged: Bool { items.allSatisfy { $0.action == .kept } }
}
