/// The Compose specification's variable interpolation (compose-spec, 12-interpolation): `$VAR`, `${VAR}`, `${VAR:-default}`,
/// `${VAR-default}`, `${VAR:?message}`, `${VAR?message}`, `${VAR:+replacement}`, `${VAR+replacement}`, nested in defaults, and `$$`.
struct VariableInterpolation {
  var variables: [String: String]
  /// What was looked up and not there, without a default: worth a warning, as other Compose tools give it.
  private(set) var unset: Set<String> = []

  init(variables: [String: String]) { self.variables = variables }

  /// What is wrong with a text, without a place.
  struct Failure: Error, Equatable {
    var message: String
  }

  /// - Throws: `Failure` for malformed text and for `${VAR:?message}` of a variable that is not set.
  mutating func expand(_ text: String) throws(Failure) -> String {
    var rest = Substring(text)
    return try expand(&rest, untilBrace: false)
  }

  private mutating func expand(_ rest: inout Substring, untilBrace: Bool) throws(Failure) -> String {
    var out = ""
    while let character = rest.first {
      if untilBrace && character == "}" { return out }
      rest.removeFirst()
      guard character == "$" else {
        out.append(character)
        continue
      }
      switch rest.first {
      case "$":
        rest.removeFirst()
        out.append("$")
      case "{":
        rest.removeFirst()
        out += try braced(&rest)
      case let next? where Self.startsName(next):
        let name = Self.takeName(&rest)
        out += value(of: name) ?? missing(name)
      default:
        throw Failure(message: "a '$' stands alone: write '$$' for a dollar sign, '${NAME}' for a variable")
      }
    }
    guard !untilBrace else { throw Failure(message: "'${' without '}'") }
    return out
  }

  /// What follows "${", up to and with its "}".
  private mutating func braced(_ rest: inout Substring) throws(Failure) -> String {
    guard let first = rest.first, Self.startsName(first) else { throw Failure(message: "'${' without the name of a variable") }
    let name = Self.takeName(&rest)
    let colon = rest.first == ":"
    if colon { rest.removeFirst() }
    let operation = rest.first
    guard operation == "}" && !colon || operation == "-" || operation == "?" || operation == "+" else {
      throw Failure(message: "'${\(name)' is followed by something other than '}', ':-', '-', ':?', '?', ':+' or '+'")
    }
    rest.removeFirst()
    let current = value(of: name)
    let counts = colon ? !(current ?? "").isEmpty : current != nil
    guard operation != "}" else { return current ?? missing(name) }
    // The alternative is read in any case; variables in it count as missing only if it is used.
    let unsetBefore = unset
    let alternative = try expand(&rest, untilBrace: true)
    rest.removeFirst()
    switch operation {
    case "+":
      if !counts { unset = unsetBefore }
      return counts ? alternative : ""
    case "?":
      unset = unsetBefore
      guard counts, let current else {
        throw Failure(message: alternative.isEmpty ? "the variable \(name) must be set" : "\(name): \(alternative)")
      }
      return current
    default:
      if counts { unset = unsetBefore }
      return counts ? current ?? "" : alternative
    }
  }

  private func value(of name: String) -> String? { variables[name] }

  private mutating func missing(_ name: String) -> String {
    unset.insert(name)
    return ""
  }

  private static func startsName(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character == "_")
  }

  private static func takeName(_ rest: inout Substring) -> String {
    let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    rest = rest[name.endIndex...]
    return String(name)
  }
}
