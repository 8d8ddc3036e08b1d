/// Durability is checked, not assumed: a server that may forget what it acknowledged is refused.
public enum ServerRequirements {
  /// - Throws: `.refused`, naming every setting that is wrong and what to do.
  public static func check(_ connection: some SQLExecutor) async throws(PostgresError) {
    let rows = try await connection.query(
      """
      SELECT name, setting FROM pg_catalog.pg_settings
      WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums', 'server_version_num')
      """)
    var settings: [String: String] = [:]
    for row in rows { settings[try row.text("name")] = try row.text("setting") }
    let faults = faults(in: settings)
    guard faults.isEmpty else {
      throw PostgresError(.refused, "this PostgreSQL may not keep money: " + faults.joined(separator: "; "))
    }
  }

  /// What is wrong with a server of these settings; empty if it is fit.
  static func faults(in settings: [String: String]) -> [String] {
    var faults: [String] = []
    for name in ["fsync", "full_page_writes"] where settings[name] != "on" {
      faults.append("\(name) is \(settings[name] ?? "unknown"): set \(name) = on in postgresql.conf and reload")
    }
    // All other values wait at least for the local disk.
    let commit = settings["synchronous_commit"] ?? "unknown"
    if !["on", "local", "remote_write", "remote_apply"].contains(commit) {
      faults.append("synchronous_commit is \(commit): set it to on, for the server, the database and the role")
    }
    if settings["data_checksums"] != "on" {
      faults.append("data checksums are off: stop the server and run pg_checksums --enable, or initdb --data-checksums")
    }
    if (settings["server_version_num"].flatMap { Int($0) } ?? 0) < 150_000 {
      faults.append("its version is below 15")
    }
    return faults
  }
}
