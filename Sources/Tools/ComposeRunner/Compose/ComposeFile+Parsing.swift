import FoundationEssentials
import Yams

extension ComposeFile {
  /// Reads a compose file.
  /// - Parameters:
  ///   - path: as it is to be shown in messages, too.
  ///   - variables: for `${…}`: usually the environment.
  ///   - profiles: services of other profiles are left out (unless something depends on them, which is refused).
  /// - Throws: `ComposeError`, with file, line and column.
  public static func load(path: String, variables: [String: String], profiles: Set<String> = []) throws(ComposeError) -> ComposeFile {
    guard let data = FileManager.default.contents(atPath: path) else {
      guard FileManager.default.fileExists(atPath: path) else {
        throw ComposeError(
          .fileMissing, "there is no compose file at '\(path)': run florin in the project's directory, or name the file with -f FILE")
      }
      throw ComposeError(.fileUnreadable, "the compose file '\(path)' cannot be read: check that it is a file and that you may read it")
    }
    guard data.count <= maximumBytes else {
      throw ComposeError(.fileUnreadable, "the compose file '\(path)' has \(data.count) bytes; \(maximumBytes) are the most florin reads")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw ComposeError(.syntax, at: SourcePosition(file: path, line: 1, column: 1), "the file is not UTF-8: save it as UTF-8")
    }
    return try parse(text, path: path, variables: variables, profiles: profiles)
  }

  /// Reads the text of a compose file; see `load`.
  public static func parse(
    _ text: String, path: String, variables: [String: String], profiles: Set<String> = []
  ) throws(ComposeError) -> ComposeFile {
    var parser = ComposeParser(file: path, variables: variables)
    return try parser.parse(root(of: text, path: path), profiles: profiles)
  }

  private static let maximumBytes = 1 << 20

  private static func root(of text: String, path: String) throws(ComposeError) -> Node {
    do {
      guard let node = try Yams.compose(yaml: text) else {
        throw ComposeError(.syntax, at: SourcePosition(file: path, line: 1, column: 1), "the compose file is empty")
      }
      return node
    } catch let error as ComposeError {
      throw error
    } catch let error as YamlError {
      throw syntaxError(error, path: path)
    } catch {
      throw ComposeError(.syntax, "the compose file '\(path)' cannot be read: \(error)")
    }
  }

  private static func syntaxError(_ error: YamlError, path: String) -> ComposeError {
    func at(_ mark: Mark) -> SourcePosition { SourcePosition(file: path, line: max(1, mark.line), column: max(1, mark.column)) }
    return switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      ComposeError(.syntax, at: at(mark), "this is not YAML: " + (context.map { $0.text + ": " } ?? "") + problem)
    case .duplicatedKeysInMapping(let duplicates, let context):
      ComposeError(.syntax, at: at(context.mark), "the key '\(duplicates.first ?? "")' occurs twice in one mapping: remove one")
    default: ComposeError(.syntax, at: SourcePosition(file: path, line: 1, column: 1), "this is not YAML: \(error)")
    }
  }
}
