internal import CLinux
internal import FoundationEssentials
internal import Glibc

/// Directories of key material: written beside, then put in place as a whole, so that a reader sees the old set or the
/// new one and never half of each.
enum SecureDirectory {
  /// A file to be written. Keys come as a closure, so that their bytes need not be kept.
  struct File {
    var name: String
    var mode: mode_t
    var source: Source

    enum Source {
      case bytes([UInt8])
      case key(PrivateKey)
      /// A hard link to a file that stays as it is.
      case existing(String)
    }
  }

  /// Replaces `path` by a directory of mode 0700 with these files, atomically. Leftovers of an earlier crash are removed.
  static func replace(_ path: String, files: [File], owner: FileOwner?) throws(AuthorityError) {
    let (parent, name) = split(path)
    let prefix = ".\(name).new-"
    for leftover in try list(parent) where leftover.hasPrefix(prefix) { try removeTree("\(parent)/\(leftover)") }
    let staging = "\(parent)/\(prefix)\(String(UInt64.random(in: .min ... .max), radix: 16))"
    guard mkdir(staging, 0o700) == 0 else { throw failed("create directory", staging) }
    do throws(AuthorityError) {
      for file in files { try write(file, in: staging, owner: owner) }
      if let owner, chown(staging, owner.user, owner.group) != 0 { throw failed("give away directory", staging) }
      try sync(staging)
      try install(staging, at: path)
    } catch {
      // The first error is the one worth telling; what is left behind is removed by the next call.
      try? removeTree(staging)
      throw error
    }
    try sync(parent)
  }

  private static func install(_ staging: String, at path: String) throws(AuthorityError) {
    if florin_exchange_paths(staging, path) == 0 {
      try removeTree(staging)  // the old directory, now under the temporary name
      return
    }
    guard errno == ENOENT else { throw failed("replace", path) }
    guard rename(staging, path) == 0 else { throw failed("rename into place", path) }
  }

  private static func write(_ file: File, in directory: String, owner: FileOwner?) throws(AuthorityError) {
    let path = "\(directory)/\(file.name)"
    switch file.source {
    case .existing(let original):
      guard link(original, path) == 0 else { throw failed("link", path) }
    case .bytes(let bytes): try write(path, mode: file.mode, owner: owner, bytes.span.bytes)
    case .key(let key):
      try key.withPEM { (pem) throws(AuthorityError) in try write(path, mode: file.mode, owner: owner, pem.bytes) }
    }
  }

  private static func write(_ path: String, mode: mode_t, owner: FileOwner?, _ bytes: RawSpan) throws(AuthorityError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw failed("create", path) }
    defer { close(descriptor) }
    // The umask may have taken bits away; the mode is part of the promise.
    guard fchmod(descriptor, mode) == 0 else { throw failed("set the mode of", path) }
    var done = 0
    while done < bytes.byteCount {
      let written = bytes.extracting(done..<bytes.byteCount).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw failed("write", path) }
      done += written
    }
    if let owner, fchown(descriptor, owner.user, owner.group) != 0 { throw failed("give away", path) }
    guard fsync(descriptor) == 0 else { throw failed("flush", path) }
  }

  /// Makes the directory and its parents, if they are not there yet, the last one with exactly this mode.
  static func ensure(_ path: String, mode: mode_t) throws(AuthorityError) {
    var status = stat()
    if stat(path, &status) != 0 {
      let (parent, _) = split(path)
      if stat(parent, &status) != 0 { try ensure(parent, mode: 0o755) }
      guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failed("create directory", path) }
      guard chmod(path, mode) == 0 else { throw failed("set the mode of", path) }
    } else if status.st_mode & S_IFMT != S_IFDIR {
      throw AuthorityError(.fileSystem, "\(path) is not a directory", remedy: "Move it away, or choose another directory.")
    }
  }

  static func list(_ path: String) throws(AuthorityError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw AuthorityError(.fileSystem, "\(path) cannot be listed: \(error)", remedy: "Check that it exists and that you may read it.")
    }
  }

  /// Nil if there is no such file; an error if it cannot be read.
  static func read(_ path: String) throws(AuthorityError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failed("open", path)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw failed("read", path) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= 1 << 20 else {
        throw AuthorityError(.damaged, "\(path) is larger than 1 MiB", remedy: "It is no certificate or key: remove it.")
      }
    }
  }

  /// The permission bits, or nil if there is no such file.
  static func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  static func owner(_ path: String) -> FileOwner? {
    var status = stat()
    return lstat(path, &status) == 0 ? FileOwner(user: status.st_uid, group: status.st_gid) : nil
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Runs `body` while no other process does so with the same directory.
  static func locked<R>(_ directory: String, _ body: () throws(AuthorityError) -> R) throws(AuthorityError) -> R {
    let path = directory + "/.lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failed("open", path) }
    defer { close(descriptor) }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else { throw failed("lock", path) }
    }
    return try body()
  }

  private static func removeTree(_ path: String) throws(AuthorityError) {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      throw AuthorityError(.fileSystem, "\(path) cannot be removed: \(error)", remedy: "Remove it by hand: it holds old key material.")
    }
  }

  private static func sync(_ directory: String) throws(AuthorityError) {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed("open", directory) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failed("flush", directory) }
  }

  private static func split(_ path: String) -> (parent: String, name: String) {
    var path = path[...]
    while path.count > 1 && path.hasSuffix("/") { path = path.dropLast() }
    guard let slash = path.lastIndex(of: "/") else { return (".", String(path)) }
    let parent = slash == path.startIndex ? "/" : String(path[..<slash])
    return (parent, String(path[path.index(after: slash)...]))
  }

  private static func failed(_ what: String, _ path: String) -> AuthorityError {
    let reason = String(cString: strerror(errno))
    return AuthorityError(
      .fileSystem, "Could not \(what) \(path): \(reason)",
      remedy: "Check the permissions and the free space there, or choose another directory.")
  }
}
