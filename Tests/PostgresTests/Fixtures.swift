import Migrations
import Postgres
import PostgresTestKit

extension Migration {
  /// A small table for whoever owns the schema.
  static let notes = Migration(
    version: 100, name: "notes",
    sql: """
      CREATE TABLE notes (
        id bigint CONSTRAINT notes_key PRIMARY KEY,
        text text NOT NULL CONSTRAINT notes_not_empty CHECK (text <> ''),
        parent bigint CONSTRAINT notes_parent REFERENCES notes DEFERRABLE INITIALLY DEFERRED
      );
      CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL);
      -- Takes as long to commit as the row says.
      CREATE TABLE slow (id bigint PRIMARY KEY, seconds float8 NOT NULL);
      CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(NEW.seconds); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION dawdle();
      DO $$ BEGIN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), current_schema() || '_service');
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON notes, counters, slow TO %I', current_schema() || '_service');
      END $$;
      """)
}

extension TestDatabase {
  /// A fresh database with the tables of `Migration.notes`.
  static func notes() async throws -> TestDatabase {
    try await TestCluster.shared().database("payment", migrations: [.notes])
  }

  /// Waits until a session of this database is active with exactly this query, and returns its process.
  func session(running query: String) async throws -> Int64 {
    let observer = try await connect(as: .superuser)
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      let rows = try await observer.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = $1 AND pid <> pg_backend_pid()",
        [.text(query)])
      if let row = rows.first {
        await observer.close()
        return try row.int64("pid")
      }
      guard ContinuousClock.now < deadline else { throw PostgresError(.timedOut, "no session runs \(query)") }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}
