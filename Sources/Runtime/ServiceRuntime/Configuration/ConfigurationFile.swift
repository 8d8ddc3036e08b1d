internal import Foundation

/// What stands in a configuration file, flattened: "database.port" for `{"database": {"port": 7432}}`.
///
/// swift-configuration reads values by key and never says what else there was; this is what finds a misspelt key.
struct ConfigurationFile {
  /// Text of each scalar.
  private(set) var values: [String: String] = [:]
  let path: String

  /// - Throws: `ServiceFailure` (configuration) naming the file and, where there is one, the key.
  init(path: String) throws(ServiceFailure) {
    self.path = path
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ServiceFailure(.configuration, "the configuration file \(path) can't be read; check --config")
    }
    guard data.count <= 1 << 20 else {
      throw ServiceFailure(.configuration, "\(path) is larger than a configuration file can be (1 MiB)")
    }
    let root: JSONValue
    do {
      root = try JSONDecoder().decode(JSONValue.self, from: data)
    } catch {
      throw ServiceFailure(.configuration, "\(path) is not JSON: \(Self.reason(error))")
    }
    guard case .object(let members) = root else {
      throw ServiceFailure(.configuration, "\(path) must be a JSON object, such as {\"listen\": \"127.0.0.1:7101\"}")
    }
    try flatten(members, prefix: "", depth: 0)
  }

  private enum JSONValue: Decodable {
    case object([String: JSONValue])
    /// A string, number or boolean, as text.
    case scalar(String)
    /// A list or null, which no key takes.
    case other

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let object = try? container.decode([String: JSONValue].self) {
        self = .object(object)
      } else if let text = try? container.decode(String.self) {
        self = .scalar(text)
      } else if let flag = try? container.decode(Bool.self) {
        self = .scalar(String(flag))
      } else if let integer = try? container.decode(Int64.self) {
        self = .scalar(String(integer))
      } else if let number = try? container.decode(Double.self) {
        self = .scalar(String(number))
      } else {
        self = .other
      }
    }
  }

  private static func reason(_ error: any Error) -> String {
    guard case DecodingError.dataCorrupted(let context) = error else { return "it does not parse" }
    let cause = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"] as? String
    return cause ?? context.debugDescription
  }

  private mutating func flatten(_ object: [String: JSONValue], prefix: String, depth: Int) throws(ServiceFailure) {
    for (name, value) in object.sorted(by: { $0.key < $1.key }) {
      let key = prefix + name
      switch value {
      case .object(let nested) where depth < 8: try flatten(nested, prefix: key + ".", depth: depth + 1)
      case .scalar(let text): values[key] = text
      case .object, .other: throw ServiceFailure(.configuration, "\(path): the value of '\(key)' must be text, a number or a boolean")
      }
    }
  }

  /// - Throws: for the first key that is unknown, with the one that may be meant; and for any that looks like a secret.
  func refuseUnknown(known: [String]) throws(ServiceFailure) {
    for key in values.keys.sorted() where !known.contains(key) {
      let lower = key.lowercased()
      if ["password", "passwd", "secret", "token", "credential", "private", "apikey", "api_key"].contains(where: lower.contains) {
        throw ServiceFailure(
          .configuration,
          "\(path): '\(key)' looks like a secret, and secrets never stand in configuration; log-in is by the certificate in identity.directory"
        )
      }
      let nearest = known.map { (distance: Self.distance(key, $0), key: $0) }.min { $0.distance < $1.distance }
      let hint =
        nearest.flatMap { $0.distance <= max(2, key.count / 4) ? "; did you mean '\($0.key)'?" : nil } ?? "; known are "
        + known.joined(separator: ", ")
      throw ServiceFailure(.configuration, "\(path): unknown key '\(key)'\(hint)")
    }
  }

  /// Levenshtein's.
  private static func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8.prefix(100)), Array(b.utf8.prefix(100)))
    var row = Array(0...b.count)
    for i in a.indices {
      var diagonal = row[0]
      row[0] = i + 1
      for j in b.indices {
        let substitution = diagonal + (a[i] == b[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
