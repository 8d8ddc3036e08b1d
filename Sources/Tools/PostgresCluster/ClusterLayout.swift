import Glibc

/// Where a cluster's files are. Usually below the directory that was asked for; elsewhere if PostgreSQL's user could not get
/// there (a state directory below /root), or if the socket's path would be too long for the kernel.
struct ClusterLayout: Sendable, Hashable {
  /// What was asked for, absolute.
  let directory: String
  /// What holds the cluster.
  let base: String
  let socketDirectory: String

  var data: String { base + "/data" }
  /// The server's own certificate and key, copied: they must belong to the user it runs as.
  var identity: String { base + "/tls" }
  var log: String { base + "/postgres.log" }
  /// True if the base had to be elsewhere.
  var isElsewhere: Bool { base != directory }

  /// `sun_path` holds 108 bytes with its NUL; ".s.PGSQL.65535.lock" is the longest name in the directory.
  private static let longestSocketDirectory = 107 - 20

  static func resolve(_ directory: String, user: ClusterUser) throws(ClusterError) -> ClusterLayout {
    let directory = Files.absolute(directory)
    let key = fingerprint(directory)
    var base = directory
    if user.isSomeoneElse, try !isPassable(directory, for: user) { base = "/var/tmp/florin-postgres-\(key)" }
    var sockets = base + "/run"
    if sockets.utf8.count > longestSocketDirectory { sockets = "/tmp/florin-postgres-\(key)" }
    return ClusterLayout(directory: directory, base: base, socketDirectory: sockets)
  }

  /// Makes the directories. In a directory that everyone may write to, one that is there already must be ours.
  func create(user: ClusterUser) throws(ClusterError) {
    for path in [base, socketDirectory] where path.hasPrefix("/var/tmp/") || path.hasPrefix("/tmp/") {
      try Self.refuseForeign(path, user: user)
    }
    if isElsewhere {
      // For people who look for the data where they asked for it.
      try Files.parents(directory)
      unlink(directory + "/elsewhere")
      guard symlink(base, directory + "/elsewhere") == 0 else { throw Files.failed("make a link in", directory) }
    }
    try Files.directory(base, mode: 0o700, owner: user)
    try Files.directory(socketDirectory, mode: 0o700, owner: user)
    try Files.directory(identity, mode: 0o700, owner: user)
    if !Files.exists(data) { try Files.directory(data, mode: 0o700, owner: user) }
  }

  private static func refuseForeign(_ path: String, user: ClusterUser) throws(ClusterError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    let isOurs = status.st_uid == geteuid() || status.st_uid == user.userID
    guard status.st_mode & S_IFMT == S_IFDIR, isOurs, status.st_mode & 0o022 == 0 else {
      throw ClusterError(
        .fileSystem, "\(path) exists, and is not a directory that only \(user.name) can write to",
        remedy: "Remove it if nobody needs it, or choose another state directory.")
    }
  }

  /// Whether the user may walk to the directory: tried, because only the kernel knows (modes, ACLs, mounts).
  private static func isPassable(_ directory: String, for user: ClusterUser) throws(ClusterError) -> Bool {
    var nearest = directory
    while !Files.exists(nearest) { nearest = Files.parent(of: nearest) }
    // The directory itself will be given to the user; what matters is what stands above it.
    if nearest == directory { nearest = Files.parent(of: nearest) }
    let attempt = ToolProcess(executable: "/usr/bin/test", arguments: ["-x", nearest]).becoming(user)
    return try attempt.runUnchecked(within: 10).status == 0
  }

  /// FNV-1a, 64 bits: a short name for a path, not a secret.
  private static func fingerprint(_ text: String) -> String {
    let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let hex = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - hex.count) + hex
  }
}
