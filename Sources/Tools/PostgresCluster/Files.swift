import Glibc

/// The little of a file system that a cluster needs, with owners and modes.
enum Files {
  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func list(_ directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Nil if it cannot be read.
  static func read(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  static func text(_ path: String) -> String? { read(path).map { String(decoding: $0, as: UTF8.self) } }

  /// Makes the directory and, world-passable, what is missing above it; gives it this owner and mode.
  static func directory(_ path: String, mode: mode_t, owner: ClusterUser) throws(ClusterError) {
    if !exists(path) {
      try parents(parent(of: path))
      guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failed("make the directory", path) }
    }
    try own(path, mode: mode, owner: owner)
  }

  /// Makes the directory, and what is missing above it, with the usual mode.
  static func parents(_ path: String) throws(ClusterError) {
    guard !exists(path) else { return }
    try parents(parent(of: path))
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failed("make the directory", path) }
  }

  private static func own(_ path: String, mode: mode_t, owner: ClusterUser) throws(ClusterError) {
    if owner.isSomeoneElse, lchown(path, owner.userID, owner.groupID) != 0 { throw failed("give to \(owner.name)", path) }
    guard chmod(path, mode) == 0 else { throw failed("set the mode of", path) }
  }

  /// Replaces the file as a whole. False: it had these bytes already.
  @discardableResult
  static func write(_ path: String, _ bytes: [UInt8], mode: mode_t, owner: ClusterUser) throws(ClusterError) -> Bool {
    if read(path) == bytes {
      try own(path, mode: mode, owner: owner)
      return false
    }
    let draft = path + ".new"
    unlink(draft)
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failed("write", draft) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let error = failed("write", draft)
        close(descriptor)
        throw error
      }
      rest = rest.dropFirst(count)
    }
    fsync(descriptor)
    close(descriptor)
    try own(draft, mode: mode, owner: owner)
    guard rename(draft, path) == 0 else { throw failed("put into place", path) }
    return true
  }

  /// Removes a directory with all that is in it. Does not follow links.
  static func removeTree(_ path: String) throws(ClusterError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in list(path) { try removeTree("\(path)/\(name)") }
      guard rmdir(path) == 0 || errno == ENOENT else { throw failed("remove", path) }
    } else {
      guard unlink(path) == 0 || errno == ENOENT else { throw failed("remove", path) }
    }
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  /// Absolute, without a trailing slash; links resolved as far as it exists.
  static func absolute(_ path: String) -> String {
    var path = path
    if !path.hasPrefix("/") {
      // glibc allocates as much as it needs (getcwd(3)).
      let working = getcwd(nil, 0)
      defer { free(working) }
      path = (working.map { String(cString: $0) } ?? "") + "/" + path
    }
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    var missing: [String] = []
    var existing = path
    while existing != "/" {
      if let resolved = realpath(existing, nil) {
        defer { free(resolved) }
        let base = String(cString: resolved)
        return ([base == "/" ? "" : base] + missing.reversed()).joined(separator: "/")
      }
      missing.append(String(existing[existing.index(after: existing.lastIndex(of: "/") ?? existing.startIndex)...]))
      existing = parent(of: existing)
    }
    return path
  }

  static func failed(_ what: String, _ path: String) -> ClusterError {
    ClusterError(
      .fileSystem, "Could not \(what) \(path): \(String(cString: strerror(errno)))",
      remedy: "Check the permissions and the free space there, or choose another state directory.")
  }
}
