internal import Yams

/// Reads a YAML tree strictly: every key of a mapping is either taken or refused, with its place.
struct YAMLReader {
  let file: String
  var interpolation: VariableInterpolation

  /// A mapping whose keys have yet to be taken.
  struct Mapping {
    var path: String
    var position: SourcePosition
    fileprivate var entries: [(key: String, position: SourcePosition, value: Node)]

    /// Removes and returns a key's value; nil if it is not there.
    mutating func take(_ key: String) -> Node? {
      guard let index = entries.firstIndex(where: { $0.key == key }) else { return nil }
      return entries.remove(at: index).value
    }

    /// The keys that nobody took, first in the file first.
    var remaining: [(key: String, position: SourcePosition, value: Node)] { entries }
  }

  func position(of node: Node, orElse position: SourcePosition? = nil) -> SourcePosition {
    if let mark = node.mark { return SourcePosition(file: file, line: mark.line, column: mark.column) }
    return position ?? SourcePosition(file: file, line: 1, column: 1)
  }

  func mapping(_ node: Node, _ path: String) throws(ComposeError) -> Mapping {
    let here = position(of: node)
    guard case .mapping(let mapping) = node else {
      throw ComposeError(.wrongType, at: here, "\(path) must be a mapping (key: value)")
    }
    var entries: [(key: String, position: SourcePosition, value: Node)] = []
    for (key, value) in mapping {
      let place = position(of: key, orElse: here)
      guard case .scalar(let scalar) = key else { throw ComposeError(.wrongType, at: place, "a key of \(path) is not a text") }
      guard scalar.string != "<<" else {
        throw ComposeError(.unsupportedKey, at: place, "merge keys ('<<') are not supported yet: write the keys out")
      }
      entries.append((scalar.string, place, value))
    }
    return Mapping(path: path, position: here, entries: entries)
  }

  /// Refuses what nobody took. Keys that start with "x-" are extensions and mean nothing to us, as the specification has it.
  func finish(_ mapping: Mapping, unsupported: Set<String> = [], known: [String]) throws(ComposeError) {
    guard let extra = mapping.remaining.first(where: { !$0.key.hasPrefix("x-") }) else { return }
    if unsupported.contains(extra.key) {
      throw ComposeError(
        .unsupportedKey, at: extra.position,
        "'\(extra.key)' of \(mapping.path) is in the Compose specification, but florin does not support it: remove it")
    }
    throw ComposeError(
      .unknownKey, at: extra.position,
      "unknown key '\(extra.key)' in \(mapping.path): known are \(known.sorted().joined(separator: ", "))")
  }

  mutating func text(_ node: Node, _ path: String) throws(ComposeError) -> String {
    let here = position(of: node)
    guard case .scalar(let scalar) = node else { throw ComposeError(.wrongType, at: here, "\(path) must be a text") }
    if scalar.style == .plain {
      if ["", "~", "null", "Null", "NULL"].contains(scalar.string) {
        throw ComposeError(.wrongType, at: here, "\(path) has no value: write one, or remove the key")
      }
      if Self.booleans.contains(scalar.string.lowercased()) {
        throw ComposeError(.wrongType, at: here, "\(path) must be a text: put '\(scalar.string)' in quotes if it is meant as one")
      }
    }
    do {
      return try interpolation.expand(scalar.string)
    } catch {
      throw ComposeError(.interpolation, at: here, "\(path): \(error.message)")
    }
  }

  /// Nil for null.
  mutating func textOrNull(_ node: Node, _ path: String) throws(ComposeError) -> String? {
    if case .scalar(let scalar) = node, scalar.style == .plain, ["", "~", "null"].contains(scalar.string) { return nil }
    return try text(node, path)
  }

  mutating func boolean(_ node: Node, _ path: String) throws(ComposeError) -> Bool {
    guard case .scalar(let scalar) = node, let value = ["true": true, "false": false][scalar.string.lowercased()] else {
      throw ComposeError(.wrongType, at: position(of: node), "\(path) must be true or false")
    }
    return value
  }

  mutating func integer(_ node: Node, _ path: String, in range: ClosedRange<Int>) throws(ComposeError) -> Int {
    let value = try text(node, path)
    guard value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(value), range.contains(number) else {
      throw ComposeError(
        .invalidValue, at: position(of: node),
        "\(path) must be a whole number from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
    }
    return number
  }

  mutating func duration(_ node: Node, _ path: String) throws(ComposeError) -> Duration {
    let value = try text(node, path)
    guard let duration = ComposeDuration.parse(value) else {
      throw ComposeError(.invalidValue, at: position(of: node), "\(path) must be a duration such as 500ms, 10s or 1m30s, not '\(value)'")
    }
    return duration
  }

  /// A sequence, or nil if the node is none.
  func sequence(_ node: Node) -> [Node]? {
    guard case .sequence(let sequence) = node else { return nil }
    return Array(sequence)
  }

  mutating func texts(_ node: Node, _ path: String) throws(ComposeError) -> [String] {
    guard let nodes = sequence(node) else {
      throw ComposeError(.wrongType, at: position(of: node), "\(path) must be a list")
    }
    var out: [String] = []
    for (index, element) in nodes.enumerated() { out.append(try text(element, "\(path)[\(index)]")) }
    return out
  }

  /// What YAML 1.1, which Compose files are, takes for booleans.
  private static let booleans: Set<String> = ["true", "false", "yes", "no", "on", "off"]
}
