public import Logging
public import Postgres

/// Brings a schema up to date.
///
/// The connection logs in as a role (`migrator`) that is a member of `owner`, who owns everything that is made. The history is
/// the table `schema_migrations` of the schema. One migrator at a time: a session-level advisory lock per schema.
public enum Migrator {
  /// Applies what is missing, each migration in a transaction of its own together with its row in the history.
  /// - Parameters:
  ///   - schema: made, owned by `owner`, if missing. Lower-case letters, digits and `_`.
  ///   - lockLimit: how long to wait for another migrator.
  /// - Returns: what was done. Running it again does nothing.
  public static func migrate(
    _ connection: PostgresConnection, schema: String, owner: String, migrations: [Migration],
    lockLimit: Duration = .seconds(60), logger: Logger
  ) async throws(MigrationError) -> MigrationReport {
    try check(schema)
    try check(owner)
    try checkList(migrations)
    do {
      try await lock(connection, schema, lockLimit)
      let report: MigrationReport
      do {
        report = try await apply(connection, schema, owner, migrations, logger)
      } catch {
        await unlock(connection, schema, logger)
        throw error
      }
      await unlock(connection, schema, logger)
      return report
    } catch let error as MigrationError {
      throw error
    } catch let error as PostgresError {
      throw MigrationError(.failed(version: nil, error), "preparing the schema \(schema) failed: \(error)")
    } catch {
      // Nothing else is thrown above; the compiler cannot know.
      throw MigrationError(.failed(version: nil, PostgresError(.cancelled, "\(error)")), "migrating \(schema) was interrupted: \(error)")
    }
  }

  private static func apply(
    _ connection: PostgresConnection, _ schema: String, _ owner: String, _ migrations: [Migration], _ logger: Logger
  ) async throws -> MigrationReport {
    // Identifiers cannot be parameters: the server quotes them itself.
    try await connection.transaction { transaction in
      try await become(owner, schema, transaction)
      try await transaction.script(
        """
        DO $$ BEGIN
          IF to_regnamespace(quote_ident(current_setting('florin.schema'))) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I', current_setting('florin.schema'));
          END IF;
        END $$;
        CREATE TABLE IF NOT EXISTS schema_migrations (
          version integer PRIMARY KEY CHECK (version > 0),
          name text NOT NULL,
          checksum bytea NOT NULL CHECK (length(checksum) = 32),
          applied_by text NOT NULL DEFAULT session_user,
          applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """)
    }
    let applied = try await connection.transaction(readOnly: true) { transaction in
      try await become(owner, schema, transaction)
      return try await transaction.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version").map { row in
        Applied(version: Int(try row.int32("version")), name: try row.text("name"), checksum: try row.bytes("checksum"))
      }
    }
    let pending = try compare(migrations, applied)
    var report = MigrationReport(schema: schema)
    report.alreadyApplied = applied.count
    for migration in pending {
      do {
        try await connection.transaction(retries: 0) { transaction in
          try await become(owner, schema, transaction)
          try await transaction.script(migration.sql)
          // Again, because the script may have changed them.
          try await become(owner, schema, transaction)
          try await transaction.query(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            [.int32(Int32(migration.version)), .text(migration.name), .bytes(migration.checksum)])
        }
      } catch let error as PostgresError {
        throw MigrationError(
          .failed(version: migration.version, error), "migration \(migration.version) (\(migration.name)) of \(schema) failed: \(error)")
      }
      report.applied.append(.init(version: migration.version, name: migration.name))
      logger.info(
        "migration.applied",
        metadata: ["schema": .string(schema), "version": .stringConvertible(migration.version), "name": .string(migration.name)])
    }
    return report
  }

  struct Applied: Sendable {
    var version: Int
    var name: String
    var checksum: [UInt8]
  }

  /// What is to be applied, if the history fits the list.
  static func compare(_ migrations: [Migration], _ applied: [Applied]) throws(MigrationError) -> [Migration] {
    for row in applied {
      guard let migration = migrations.first(where: { $0.version == row.version }) else {
        throw MigrationError(
          .missing(version: row.version),
          "the database has migration \(row.version) (\(row.name)), which this program does not know: run a newer one")
      }
      guard migration.checksum == row.checksum else {
        throw MigrationError(
          .edited(version: row.version),
          "migration \(row.version) (\(row.name)) was edited after it had been applied: restore its text and write a new migration")
      }
    }
    let newest = applied.map(\.version).max() ?? 0
    let known = Set(applied.map(\.version))
    let pending = migrations.filter { !known.contains($0.version) }
    if let late = pending.first(where: { $0.version < newest }) {
      throw MigrationError(
        .outOfOrder(version: late.version),
        "migration \(late.version) (\(late.name)) comes before \(newest), which has been applied: give it a higher version")
    }
    return pending
  }

  static func checkList(_ migrations: [Migration]) throws(MigrationError) {
    var last = 0
    for migration in migrations {
      guard migration.version > last, migration.version <= Int(Int32.max) else {
        throw MigrationError(
          .badList, "migration \(migration.version) (\(migration.name)) stands after \(last): versions must ascend from 1")
      }
      last = migration.version
    }
  }

  private static func check(_ name: String) throws(MigrationError) {
    let isPlain = name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    guard isPlain, let first = name.utf8.first, !(0x30...0x39).contains(first), name.utf8.count <= 63 else {
      throw MigrationError(.badName, "'\(name)' is not a plain name: lower-case letters, digits and _, at most 63")
    }
  }

  /// For the rest of the transaction: the owner's rights, and the schema as the only place where names are looked up.
  private static func become(_ owner: String, _ schema: String, _ transaction: PostgresTransaction) async throws(PostgresError) {
    try await transaction.pipeline([
      SQLStatement("SELECT set_config('role', $1, true)", [.text(owner)]),
      SQLStatement("SELECT set_config('search_path', quote_ident($1), true)", [.text(schema)]),
      SQLStatement("SELECT set_config('florin.schema', $1, true)", [.text(schema)]),
    ])
  }

  private static func lock(_ connection: PostgresConnection, _ schema: String, _ limit: Duration) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
      let rows = try await connection.query(
        "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine", [.text("florin.migrate." + schema)])
      if try rows.first?.bool("mine") == true { return }
      guard ContinuousClock.now < deadline else {
        throw MigrationError(.locked, "another migrator has been at work on \(schema) for \(limit): wait for it, or end its session")
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  private static func unlock(_ connection: PostgresConnection, _ schema: String, _ logger: Logger) async {
    do {
      try await connection.query("SELECT pg_advisory_unlock(hashtextextended($1, 0))", [.text("florin.migrate." + schema)])
    } catch {
      // The lock goes with the session; one that cannot be asked any more is closed.
      logger.warning("migration.unlock_failed", metadata: ["detail": .string("\(error)")])
      await connection.close()
    }
  }
}
