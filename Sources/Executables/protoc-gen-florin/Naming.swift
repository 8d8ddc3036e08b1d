/// How names of a schema are written in Swift, and how protobuf-c writes them in C.
enum Naming {
  // MARK: Swift

  /// "debit_account_id" → "debitAccountID". Initials stay together, except at the start.
  static func lowerCamel(_ snake: String) -> String {
    let words = snake.split(separator: "_").map { $0.lowercased() }
    let initials = ["id": "ID", "url": "URL"]
    let rest = words.dropFirst().map { initials[$0] ?? capitalized($0) }
    let name = ([words.first ?? ""] + rest).joined()
    return name.first?.isNumber == true ? "_" + name : name
  }

  /// "idempotency_key" → "IdempotencyKey"; upper-case letters inside are kept.
  static func upperCamel(_ name: String) -> String {
    name.split(separator: "_").map { capitalized(String($0)) }.joined()
  }

  /// "GetBalance" → "getBalance".
  static func methodName(_ name: String) -> String { name.prefix(1).lowercased() + name.dropFirst() }

  /// "OUTCOME_POSTED" of enum Outcome → "posted".
  static func caseName(_ value: String, enumName: String) -> String {
    let prefix = cSnake(enumName).uppercased() + "_"
    return lowerCamel(value.hasPrefix(prefix) ? String(value.dropFirst(prefix.count)) : value)
  }

  /// The name where it is declared or used as an expression. Keywords get backticks; the three that mean something even
  /// with backticks get an underscore.
  static func identifier(_ name: String) -> String {
    if ["self", "Self", "init", "Type"].contains(name) { return name + "_" }
    return keywords.contains(name) ? "`\(name)`" : name
  }

  /// "florin.ledger.v1" → "LedgerAPI".
  static func namespace(package: String) -> String {
    var parts = package.split(separator: ".")
    if let last = parts.last, last.first == "v", last.dropFirst().allSatisfy(\.isNumber) { parts.removeLast() }
    return upperCamel(String(parts.last ?? "Root")) + "API"
  }

  private static func capitalized(_ word: String) -> String { word.prefix(1).uppercased() + word.dropFirst() }

  private static let keywords: Set<String> = [
    "as", "associatedtype", "break", "case", "catch", "class", "continue", "default", "defer", "deinit", "do", "else", "enum",
    "extension", "fallthrough", "false", "fileprivate", "for", "func", "guard", "if", "import", "in", "inout", "internal", "is",
    "let", "nil", "operator", "precedencegroup", "private", "protocol", "public", "repeat", "rethrows", "return", "static",
    "struct", "subscript", "super", "switch", "throw", "throws", "true", "try", "typealias", "var", "where", "while",
  ]

  // MARK: protobuf-c (c_helpers.cc of protobuf-c 1.4)

  /// "florin.ledger.v1.Transfer" → "Florin__Ledger__V1__Transfer".
  static func cType(_ fullName: String) -> String {
    fullName.split(separator: ".").map { upperCamel(String($0)) }.joined(separator: "__")
  }

  /// "florin.ledger.v1.PostRequest" → "florin__ledger__v1__post_request".
  static func cFunctionPrefix(_ fullName: String) -> String {
    fullName.split(separator: ".").map { cSnake(String($0)) }.joined(separator: "__")
  }

  /// A field's name in the C struct, as Swift says it.
  static func cField(_ name: String) -> String {
    let lower = name.lowercased()
    let inC = cKeywords.contains(lower) ? lower + "_" : lower
    return keywords.contains(inC) || inC == "self" || inC == "init" ? "`\(inC)`" : inC
  }

  /// "PostRequest" → "post_request"; a run of capitals is one word.
  private static func cSnake(_ name: String) -> String {
    var out = ""
    var afterUpper = true
    for character in name {
      if character.isUppercase && !afterUpper { out.append("_") }
      out += character.lowercased()
      afterUpper = character.isUppercase
    }
    return out
  }

  private static let cKeywords: Set<String> = [
    "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class", "compl", "const",
    "const_cast", "continue", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "extern",
    "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "not", "not_eq",
    "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast", "return", "short", "signed",
    "sizeof", "static", "static_cast", "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typeid",
    "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
  ]
}
