/// A `tracestate` (W3C Trace Context §3.3): what other tracers want to be handed on, most recent first.
public struct TraceState: Sendable, Hashable {
  public struct Member: Sendable, Hashable {
    public var key: String
    public var value: String
  }

  public private(set) var members: [Member] = []

  public init() {}

  /// Nil if any member is invalid, a key occurs twice, or there are more than 32: the whole state is then to be dropped, the
  /// `traceparent` beside it kept.
  public init?(_ header: String) {
    guard header.utf8.count <= 8192 else { return nil }
    var seen: Set<String> = []
    for part in header.utf8.split(separator: 0x2c, omittingEmptySubsequences: true) {
      let isBlank = { (c: UInt8) in c == 0x20 || c == 0x09 }
      let trimmed = Array(part.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
      if trimmed.isEmpty { continue }
      guard let equals = trimmed.firstIndex(of: 0x3d) else { return nil }
      let key = trimmed[..<equals]
      let value = trimmed[(equals + 1)...]
      guard Self.isKey(key), Self.isValue(value) else { return nil }
      let member = Member(key: String(decoding: key, as: UTF8.self), value: String(decoding: value, as: UTF8.self))
      guard seen.insert(member.key).inserted, seen.count <= 32 else { return nil }
      members.append(member)
    }
  }

  public var isEmpty: Bool { members.isEmpty }

  /// The header, cut to 512 characters as §3.3.1.5 allows: members over 128 characters go first, then those at the end.
  public var header: String {
    var kept = members.map { $0.key + "=" + $0.value }
    func length() -> Int { kept.reduce(0) { $0 + $1.utf8.count + 1 } - 1 }
    while length() > 512, let long = kept.lastIndex(where: { $0.utf8.count > 128 }) { kept.remove(at: long) }
    while length() > 512, !kept.isEmpty { kept.removeLast() }
    return kept.joined(separator: ",")
  }

  /// `simple-key` or `tenant@system` (§3.3.1.3.1).
  private static func isKey(_ key: ArraySlice<UInt8>) -> Bool {
    let isLower = { (c: UInt8) in (0x61...0x7a).contains(c) }
    let isDigit = { (c: UInt8) in (0x30...0x39).contains(c) }
    let isRest = { (c: UInt8) in isLower(c) || isDigit(c) || c == 0x5f || c == 0x2d || c == 0x2a || c == 0x2f }
    let parts = key.split(separator: 0x40, omittingEmptySubsequences: false)
    guard let first = parts.first?.first else { return false }
    switch parts.count {
    case 1: return parts[0].count <= 256 && isLower(first) && parts[0].allSatisfy(isRest)
    case 2:
      guard let system = parts[1].first else { return false }
      return parts[0].count <= 241 && (isLower(first) || isDigit(first)) && parts[0].allSatisfy(isRest)
        && parts[1].count <= 14 && isLower(system) && parts[1].allSatisfy(isRest)
    default: return false
    }
  }

  /// Printable ASCII without comma and equals sign, 1 to 256 of them, the last not a space (§3.3.1.3.2).
  private static func isValue(_ value: ArraySlice<UInt8>) -> Bool {
    guard (1...256).contains(value.count), value.last != 0x20 else { return false }
    return value.allSatisfy { (0x20...0x7e).contains($0) && $0 != 0x2c && $0 != 0x3d }
  }
}
