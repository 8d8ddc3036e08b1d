/// One line of the audit log: who did what to what, and how it ended. No personal data, no secrets.
public struct AuditRecord: Sendable, Hashable {
  /// The path of the SPIFFE id of who acted: "/payment", "/operator/alice".
  public var actor: String
  /// What was done: "account.freeze", "rpc.denied".
  public var action: String
  /// What it was done to: "account/ACC456", a method. Also decides the lane of the chain.
  public var subject: String
  /// How it ended: "accepted", "denied", "completed".
  public var outcome: String
  public var detail: [String: String]
  public var traceID: String?

  public init(actor: String, action: String, subject: String, outcome: String, detail: [String: String] = [:], traceID: String? = nil) {
    self.actor = actor
    self.action = action
    self.subject = subject
    self.outcome = outcome
    self.detail = detail
    self.traceID = traceID
  }

  /// `detail` as JSON with sorted keys: one value, one text, one hash.
  var detailJSON: String {
    "{" + detail.sorted { $0.key < $1.key }.map { Self.quoted($0.key) + ":" + Self.quoted($0.value) }.joined(separator: ",") + "}"
  }

  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case ..<" ":
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
