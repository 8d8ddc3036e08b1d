public import MeshProtocol

/// Who may call what. Everything else is denied.
public struct Policy: Sendable, Hashable {
  /// Whom a rule is about.
  enum Subject: Sendable, Hashable {
    /// One path: "payment", "operator/admin".
    case path(String)
    /// Every path of exactly one further segment: "operator/*".
    case anyBelow(String)

    func covers(_ path: String) -> Bool {
      switch self {
      case .path(let own): return own == path
      case .anyBelow(let parent):
        guard path.hasPrefix(parent + "/") else { return false }
        let rest = path.utf8.dropFirst(parent.utf8.count + 1)
        return !rest.isEmpty && !rest.contains(UInt8(ascii: "/"))
      }
    }
  }

  struct Rule: Sendable, Hashable {
    var subject: Subject
    var methods: Set<String>
  }

  public let trustDomain: String
  private let byPath: [String: Set<String>]
  private let wildcards: [Rule]

  init(trustDomain: String, rules: [Rule]) {
    self.trustDomain = trustDomain
    var byPath: [String: Set<String>] = [:]
    var wildcards: [Rule] = []
    for rule in rules {
      switch rule.subject {
      case .path(let path): byPath[path, default: []].formUnion(rule.methods)
      case .anyBelow: wildcards.append(rule)
      }
    }
    self.byPath = byPath
    self.wildcards = wildcards
  }

  /// Nobody may call anything.
  public static let denyAll = Policy(trustDomain: "", rules: [])

  /// - Parameter method: the canonical "package.Service/Method", the same value that routes the call.
  public func allows(_ peer: SPIFFEID, _ method: String) -> Bool {
    guard peer.trustDomain == trustDomain else { return false }
    if let methods = byPath[peer.path], methods.contains(method) { return true }
    return wildcards.contains { $0.subject.covers(peer.path) && $0.methods.contains(method) }
  }
}
