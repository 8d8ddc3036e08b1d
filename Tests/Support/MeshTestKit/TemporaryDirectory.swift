internal import Glibc

/// A directory of mode 0700 under the system's temporary directory, gone when the value is.
public final class TemporaryDirectory: Sendable {
  public let path: String

  /// What the system said.
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  public init(_ name: String = "florin-mesh") throws {
    var template = Array("/tmp/\(name)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(description: "mkdtemp: \(String(cString: strerror(errno)))") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  /// Writes a file with the text.
  public func write(_ name: String, _ text: String) throws -> String {
    let file = "\(path)/\(name)"
    guard let stream = fopen(file, "we") else { throw Failure(description: "\(file): \(String(cString: strerror(errno)))") }
    defer { fclose(stream) }
    guard fputs(text, stream) >= 0 else { throw Failure(description: "\(file): \(String(cString: strerror(errno)))") }
    return file
  }

  /// Follows no symbolic link.
  private static func remove(_ path: String) {
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { remove("\(path)/\(name)") }
      }
      closedir(folder)
    }
    Glibc.remove(path)
  }
}
