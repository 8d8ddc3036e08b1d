/// A place in a text file, both counted from 1.
public struct SourcePosition: Sendable, Hashable, CustomStringConvertible {
  public var file: String
  public var line: Int
  public var column: Int

  public init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  /// "deploy/compose.yaml:12:5".
  public var description: String { "\(file):\(line):\(column)" }
}

/// Why a compose file cannot be run: what is wrong, where, and what to do.
public struct ComposeError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: String, Sendable, Hashable {
    case fileMissing, fileUnreadable, syntax, unknownKey, unsupportedKey, wrongType, invalidValue, missingKey, interpolation
    case unknownService, dependencyCycle, portConflict, secretInEnvironment
  }

  public var code: Code
  public var position: SourcePosition?
  /// Says what to do, too.
  public var message: String

  public init(_ code: Code, at position: SourcePosition? = nil, _ message: String) {
    self.code = code
    self.position = position
    self.message = message
  }

  /// "deploy/compose.yaml:12:5: …", as compilers write it.
  public var description: String { (position.map { "\($0): " } ?? "") + message }
}
