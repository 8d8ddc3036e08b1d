import Glibc

/// Where PostgreSQL's programs are.
public struct PostgresInstallation: Sendable, Hashable {
  /// Holds postgres, initdb, pg_ctl, psql, pg_isready.
  public let binaries: String
  /// 15 or above.
  public let majorVersion: Int

  static let oldestMajorVersion = 15
  private static let programs = ["postgres", "initdb", "pg_ctl", "psql", "pg_isready"]

  /// Looks into /usr/lib/postgresql, where Debian keeps one directory per version, then along PATH.
  /// - Parameter majorVersion: what an existing data directory needs; nil: the newest.
  /// - Throws: `.missingPostgreSQL`.
  public static func find(majorVersion: Int? = nil, path: String? = nil) throws(ClusterError) -> PostgresInstallation {
    let root = "/usr/lib/postgresql"
    let versions = Files.list(root).compactMap { Int($0) }.sorted(by: >)
    for version in versions where version >= oldestMajorVersion && (majorVersion ?? version) == version {
      let binaries = "\(root)/\(version)/bin"
      if isComplete(binaries) { return PostgresInstallation(binaries: binaries, majorVersion: version) }
    }
    let path = path ?? getenv("PATH").map { String(cString: $0) } ?? ""
    for directory in path.split(separator: ":").map(String.init) where isComplete(directory) {
      guard let version = try version(of: directory), version >= oldestMajorVersion, (majorVersion ?? version) == version else { continue }
      return PostgresInstallation(binaries: directory, majorVersion: version)
    }
    let wanted = majorVersion ?? oldestMajorVersion
    throw ClusterError(
      .missingPostgreSQL,
      majorVersion == nil
        ? "PostgreSQL is missing (15 or later; looked in \(root) and PATH)"
        : "The data directory was made by PostgreSQL \(wanted), which is not installed",
      remedy: "Install it: apt-get install postgresql-\(wanted).")
  }

  func program(_ name: String) -> String { "\(binaries)/\(name)" }

  private static func isComplete(_ directory: String) -> Bool { programs.allSatisfy { access("\(directory)/\($0)", X_OK) == 0 } }

  private static func version(of directory: String) throws(ClusterError) -> Int? {
    // "postgres (PostgreSQL) 15.20 (Debian …)"
    let output = try ToolProcess(executable: "\(directory)/postgres", arguments: ["--version"]).run(within: 10).output
    return output.split(separator: " ").first { $0.first?.isNumber == true }.flatMap { Int($0.prefix { $0.isNumber }) }
  }
}
