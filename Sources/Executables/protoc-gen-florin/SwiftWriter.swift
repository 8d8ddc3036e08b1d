/// Collects lines of Swift, indented.
struct SwiftWriter {
  private(set) var text = ""
  private var depth = 0

  mutating func line(_ line: String = "") { text += line.isEmpty ? "\n" : String(repeating: "  ", count: depth) + line + "\n" }

  mutating func block<Failure: Error>(_ head: String, _ body: (inout SwiftWriter) throws(Failure) -> Void) throws(Failure) {
    line(head + " {")
    depth += 1
    try body(&self)
    depth -= 1
    line("}")
  }

  /// A comment of the schema as documentation, or the default.
  mutating func documentation(_ comment: String, default fallback: String? = nil) {
    let comment = comment.isEmpty ? fallback ?? "" : comment
    var lines = comment.split(separator: "\n", omittingEmptySubsequences: false).map { $0.hasPrefix(" ") ? $0.dropFirst() : $0 }
    while lines.last?.isEmpty == true { lines.removeLast() }
    for text in lines { line(text.isEmpty ? "///" : "/// " + text) }
  }
}
