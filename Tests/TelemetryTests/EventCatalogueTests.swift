import Foundation
import Testing

@Suite("Catalogue of events")
struct EventCatalogueTests {
  /// The repository, seen from this file.
  let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Names in the first column of the table of log events.
  func documented() throws -> [String] {
    let text = try String(contentsOf: root.appendingPathComponent("docs/events.md"), encoding: .utf8)
    let section = try #require(text.components(separatedBy: "## Log events").last?.components(separatedBy: "\n## ").first)
    return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { row in
      row.split(separator: "|")[0].matches(of: /`([a-z_.*]+)`/).map { String($0.1) }
    }
  }

  func sources() throws -> [(path: String, text: String)] {
    let folder = root.appendingPathComponent("Sources")
    let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
    return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }.map { ($0.path, try String(contentsOf: $0, encoding: .utf8)) }
  }

  @Test("Every event that is logged stands in docs/events.md")
  func loggedIsDocumented() throws {
    let known = Set(try documented())
    let call = /\.(?:trace|debug|info|notice|warning|error|critical)\(\s*"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"/
    for (path, text) in try sources() {
      for match in text.matches(of: call) {
        #expect(known.contains(String(match.1)), "\(path) logs \(match.1): add it to the table in docs/events.md")
      }
    }
  }

  @Test("Every event that stands there is still in the source")
  func documentedIsLogged() throws {
    let all = try sources().map(\.text).joined(separator: "\n")
    let names = try documented()
    #expect(names.count > 50)
    #expect(names.count == Set(names).count)
    for name in names where !name.contains("*") {
      #expect(all.contains("\"\(name)\""), "docs/events.md lists \(name), which nothing logs any more: remove it")
    }
  }
}
