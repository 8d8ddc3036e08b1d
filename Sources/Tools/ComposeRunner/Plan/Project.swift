import FoundationEssentials
import Glibc

/// A compose file and the places that belong to it.
public struct Project: Sendable {
  public let compose: ComposeFile
  /// Absolute.
  public let composePath: String
  public let directory: StateDirectory
  public let certificatesDirectory: String
  /// Where the services' executables are: beside `florin`.
  public let executablesDirectory: String

  /// Finds and reads the compose file.
  /// - Parameters:
  ///   - file: nil: `deploy/compose.yaml` or `compose.yaml`, here or in a directory above.
  ///   - stateDirectory: nil: `.florin` in the project's root, which is the directory above `deploy/`, or that of the file.
  ///   - certificatesDirectory: nil: `certs/dev` in the project's root.
  /// - Throws: `ComposeError`.
  public static func open(
    file: String?, stateDirectory: String?, certificatesDirectory: String?, profiles: Set<String> = [],
    variables: [String: String], executablesDirectory: String
  ) throws(ComposeError) -> Project {
    guard let shown = file ?? find() else {
      throw ComposeError(
        .fileMissing,
        "there is no deploy/compose.yaml or compose.yaml here or in a directory above: go to the project's directory, or name the file with -f FILE"
      )
    }
    let compose = try ComposeFile.load(path: shown, variables: variables, profiles: profiles)
    let path = absolutePath(shown)
    let root = Self.root(of: path)
    return Project(
      compose: compose, composePath: path, directory: StateDirectory(path: absolutePath(stateDirectory ?? root + "/.florin")),
      certificatesDirectory: absolutePath(certificatesDirectory ?? root + "/certs/dev"), executablesDirectory: executablesDirectory)
  }

  /// The state directory that a command without a compose file means.
  public static func defaultStateDirectory(file: String?) -> String? {
    (file ?? find()).map { root(of: absolutePath($0)) + "/.florin" }
  }

  /// The directory of the running program.
  public static var programDirectory: String {
    let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments.first ?? "/"
    return parent(of: absolutePath(path))
  }

  private static func find() -> String? {
    var directory = FileManager.default.currentDirectoryPath
    var prefix = ""
    while true {
      for name in ["deploy/compose.yaml", "compose.yaml"] where FileManager.default.fileExists(atPath: directory + "/" + name) {
        return prefix + name
      }
      guard directory != "/" && !directory.isEmpty else { return nil }
      directory = parent(of: directory)
      prefix += "../"
    }
  }

  private static func root(of composePath: String) -> String {
    let directory = parent(of: composePath)
    return directory.hasSuffix("/deploy") ? parent(of: directory) : directory
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }
}

/// An absolute path without "." and ".." segments; symbolic links stay.
public func absolutePath(_ path: String) -> String {
  let whole = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  var segments: [Substring] = []
  for segment in whole.split(separator: "/") {
    switch segment {
    case ".": break
    case "..": _ = segments.popLast()
    default: segments.append(segment)
    }
  }
  return "/" + segments.joined(separator: "/")
}
