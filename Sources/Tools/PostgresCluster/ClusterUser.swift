import Glibc

/// Whom PostgreSQL runs as: it refuses root.
public struct ClusterUser: Sendable, Hashable {
  public let name: String
  public let userID: UInt32
  public let groupID: UInt32
  public let supplementaryGroups: [UInt32]

  /// The user of this process, or, for root, one without privileges: `postgres`, which the Debian package makes.
  /// - Throws: `.noUnprivilegedUser`.
  public static func forThisProcess() throws(ClusterError) -> ClusterUser {
    guard geteuid() == 0 else {
      guard let user = lookUp(getpwuid(geteuid())) else {
        throw ClusterError(
          .noUnprivilegedUser, "The user with id \(geteuid()) has no name, and PostgreSQL's peer authentication needs one",
          remedy: "Run as a user who is listed in /etc/passwd.")
      }
      return user
    }
    for name in ["postgres", "nobody"] {
      if let user = lookUp(getpwnam(name)), user.userID != 0 { return user }
    }
    throw ClusterError(
      .noUnprivilegedUser, "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as",
      remedy: "Make one: useradd --system --no-create-home postgres.")
  }

  /// True if this process must become someone else to run PostgreSQL.
  public var isSomeoneElse: Bool { userID != geteuid() }

  private static func lookUp(_ entry: UnsafeMutablePointer<passwd>?) -> ClusterUser? {
    guard let entry = entry?.pointee, let name = entry.pw_name else { return nil }
    var groups = [gid_t](repeating: 0, count: 64)
    var count = Int32(groups.count)
    // More than 64 groups: the first ones do, PostgreSQL needs none of them.
    _ = getgrouplist(name, entry.pw_gid, &groups, &count)
    return ClusterUser(
      name: String(cString: name), userID: entry.pw_uid, groupID: entry.pw_gid,
      supplementaryGroups: Array(groups.prefix(Int(max(0, min(count, 64))))))
  }
}
