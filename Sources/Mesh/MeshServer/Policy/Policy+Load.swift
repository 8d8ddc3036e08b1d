internal import Glibc
internal import MeshProtocol
internal import Yams

extension Policy {
  /// Reads a policy file.
  ///
  /// ```yaml
  /// version: 1
  /// trust_domain: florin.local
  /// rules:
  ///   - identity: payment            # or "operator/*", or operator/alice
  ///     may:
  ///       - florin.ledger.v1.Ledger/Post
  /// ```
  /// Anything that is not understood is refused: a policy with a typing error would deny, or grant, in silence.
  /// - Parameter knownMethods: those this service serves. A rule that names another method of one of their services is an error.
  public static func load(file: String, knownMethods: [String]? = nil) throws(PolicyError) -> Policy {
    try parse(try text(of: file), file: file, knownMethods: knownMethods)
  }

  /// The same, from text.
  public static func parse(_ yaml: String, file: String = "policy.yaml", knownMethods: [String]? = nil) throws(PolicyError) -> Policy {
    var reader = PolicyReader(file: file, knownMethods: knownMethods)
    return try reader.read(yaml)
  }

  /// A policy is a few kilobytes.
  private static let largestFileBytes = 1 << 20

  private static func text(of file: String) throws(PolicyError) -> String {
    guard let stream = fopen(file, "re") else {
      let why = String(cString: strerror(errno))
      throw PolicyError(.unreadable, file: file, "the policy cannot be read (\(why)); name it with --policy-file")
    }
    defer { fclose(stream) }
    var bytes = [UInt8](repeating: 0, count: largestFileBytes + 1)
    let count = fread(&bytes, 1, bytes.count, stream)
    guard ferror(stream) == 0 else { throw PolicyError(.unreadable, file: file, "the policy cannot be read: is it a file?") }
    guard count <= largestFileBytes else {
      throw PolicyError(.unreadable, file: file, "the policy has more than \(largestFileBytes) bytes")
    }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
      throw PolicyError(.malformedYAML, file: file, "the policy is not UTF-8")
    }
    return text
  }
}

private struct PolicyReader {
  let file: String
  let knownMethods: [String]?

  mutating func read(_ yaml: String) throws(PolicyError) -> Policy {
    let root: Node?
    do {
      root = try Yams.compose(yaml: yaml)
    } catch let error as YamlError {
      throw malformed(error)
    } catch {
      throw PolicyError(.malformedYAML, file: file, "\(error)")
    }
    guard let root else { throw PolicyError(.missingKey, file: file, "the policy is empty: it needs version, trust_domain and rules") }
    let fields = try mapping(root, "the policy", keys: ["version", "trust_domain", "rules"])
    guard try scalar(fields.required("version")) == "1" else {
      throw error(.unsupportedVersion, try fields.required("version"), "the policy's version must be 1")
    }
    let domain = try fields.required("trust_domain")
    let trustDomain = try scalar(domain)
    guard SPIFFEID(uri: "spiffe://\(trustDomain)/x") != nil else {
      throw error(.malformedTrustDomain, domain, "'\(trustDomain)' is no trust domain: lower-case letters, digits, '.', '-' and '_'")
    }
    var seen: Set<Policy.Subject> = []
    var rules: [Policy.Rule] = []
    for node in try sequence(fields.required("rules"), "rules") {
      let fields = try mapping(node, "a rule", keys: ["identity", "may"])
      let identity = try fields.required("identity")
      let subject = try subject(identity, trustDomain: trustDomain)
      guard seen.insert(subject).inserted else {
        throw error(.duplicateIdentity, identity, "'\(try scalar(identity))' has a rule above; put all its methods there")
      }
      var methods: Set<String> = []
      for node in try sequence(fields.required("may"), "may") {
        let method = try method(node)
        guard methods.insert(method).inserted else { throw error(.duplicateMethod, node, "'\(method)' stands twice in this rule") }
      }
      rules.append(Policy.Rule(subject: subject, methods: methods))
    }
    return Policy(trustDomain: trustDomain, rules: rules)
  }

  private func subject(_ node: Node, trustDomain: String) throws(PolicyError) -> Policy.Subject {
    let text = try scalar(node)
    let isWildcard = text.hasSuffix("/*")
    let path = isWildcard ? String(text.dropLast(2)) : text
    guard SPIFFEID(uri: "spiffe://\(trustDomain)/\(path)") != nil else {
      throw error(
        .malformedIdentity, node,
        "'\(text)' is no identity: write the path of a SPIFFE id (payment, operator/alice), or a path and /* for all right below it")
    }
    return isWildcard ? .anyBelow(path) : .path(path)
  }

  private func method(_ node: Node) throws(PolicyError) -> String {
    let text = try scalar(node)
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    let isName = { (part: Substring) in
      part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { name in
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
          (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
        }
      }
    }
    guard halves.count == 2, isName(halves[0]), halves[0].contains("."), isName(halves[1]), !halves[1].contains(".") else {
      throw error(.malformedMethod, node, "'\(text)' is no method: write the whole package.Service/Method, without patterns")
    }
    // Methods of other packages are other services' affair; a typing error in ours would be noticed by nobody.
    if let knownMethods, !knownMethods.contains(text), knownMethods.contains(where: { package(of: $0) == package(of: text) }) {
      throw error(.unknownMethod, node, "there is no method '\(text)'")
    }
    return text
  }

  /// "florin.ledger.v1" of "florin.ledger.v1.Ledger/Post".
  private func package(of method: String) -> Substring {
    let service = method.prefix { $0 != "/" }
    return service.lastIndex(of: ".").map { service[..<$0] } ?? ""
  }

  // MARK: YAML

  private struct Fields {
    let file: String
    let line: Int?
    let what: String
    let values: [String: Node]

    func required(_ key: String) throws(PolicyError) -> Node {
      guard let value = values[key] else { throw PolicyError(.missingKey, file: file, line: line, "\(what) has no '\(key)'") }
      return value
    }
  }

  private func mapping(_ node: Node, _ what: String, keys: Set<String>) throws(PolicyError) -> Fields {
    guard case .mapping(let mapping) = node else {
      throw error(.wrongType, node, "\(what) must be a mapping with the keys \(keys.sorted().joined(separator: ", "))")
    }
    var values: [String: Node] = [:]
    for (key, value) in mapping {
      let name = try scalar(key)
      guard keys.contains(name) else {
        throw error(.unknownKey, key, "\(what) has an unknown key '\(name)'; it knows \(keys.sorted().joined(separator: ", "))")
      }
      guard values.updateValue(value, forKey: name) == nil else { throw error(.unknownKey, key, "\(what) has '\(name)' twice") }
    }
    return Fields(file: file, line: node.mark?.line, what: what, values: values)
  }

  private func sequence(_ node: Node, _ what: String) throws(PolicyError) -> [Node] {
    guard case .sequence(let sequence) = node else { throw error(.wrongType, node, "'\(what)' must be a list") }
    return Array(sequence)
  }

  private func scalar(_ node: Node) throws(PolicyError) -> String {
    guard case .scalar(let scalar) = node else { throw error(.wrongType, node, "a plain value is expected here") }
    return scalar.string
  }

  private func error(_ code: PolicyError.Code, _ node: Node, _ message: String) -> PolicyError {
    PolicyError(code, file: file, line: node.mark?.line, message)
  }

  private func malformed(_ error: YamlError) -> PolicyError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      PolicyError(.malformedYAML, file: file, line: mark.line, "not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      PolicyError(
        .malformedYAML, file: file, line: context.mark.line, "keys that stand twice: \(duplicates.sorted().joined(separator: ", "))")
    default: PolicyError(.malformedYAML, file: file, "not YAML: \(error)")
    }
  }
}
