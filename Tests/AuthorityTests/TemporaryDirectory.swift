import Glibc

/// A directory of mode 0700 under the system's temporary directory, gone when the value is.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/florin-authority-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(message: "mkdtemp: \(String(cString: strerror(errno)))") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.removeTree(path) }

  /// Follows no symbolic link.
  private static func removeTree(_ path: String) {
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      for name in names(in: path) { removeTree("\(path)/\(name)") }
    }
    remove(path)
  }

  struct Failure: Error { var message: String }
}

func permissions(_ path: String) -> mode_t? {
  var status = stat()
  return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
}

func owner(_ path: String) -> uid_t? {
  var status = stat()
  return lstat(path, &status) == 0 ? status.st_uid : nil
}

func contents(_ path: String) throws -> [UInt8] {
  guard let file = fopen(path, "r") else { throw TemporaryDirectory.Failure(message: "\(path): \(String(cString: strerror(errno)))") }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = fread(&chunk, 1, chunk.count, file)
    if count == 0 { return bytes }
    bytes += chunk[..<count]
  }
}

/// Replaces a file, whatever its mode was, and gives it this one.
func overwrite(_ path: String, with bytes: [UInt8], mode: mode_t) throws {
  unlink(path)
  guard let file = fopen(path, "w") else { throw TemporaryDirectory.Failure(message: "\(path): \(String(cString: strerror(errno)))") }
  fwrite(bytes, 1, bytes.count, file)
  fclose(file)
  chmod(path, mode)
}

func names(in directory: String) -> [String] {
  guard let folder = opendir(directory) else { return [] }
  defer { closedir(folder) }
  var found: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != "." && name != ".." { found.append(name) }
  }
  return found.sorted()
}
