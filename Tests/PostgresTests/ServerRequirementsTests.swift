import Postgres
import PostgresCluster
import PostgresTestKit
import Testing

@Suite("A server that may forget is refused") struct ServerRequirementsTests {
  @Test("fsync, full_page_writes or synchronous_commit off: each is refused by name, and accepted again when on")
  func settings() async throws {
    let cluster = try await TestCluster.separate()
    let database = cluster.standardDatabase("ledger")
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
      try await cluster.administer { server in
        try server.psql("ALTER SYSTEM SET :\"name\" = off;", ["name": setting])
        // A restart rather than a reload: when that takes effect is nobody's business.
        try server.stop()
        try server.start()
      }
      let error = await #expect(throws: PostgresError.self) { _ = try await database.connect() }
      #expect(error?.code == .refused)
      #expect(error?.message.contains("\(setting) is off") == true)
      let pool = PostgresPool(database.configuration(), logger: .quiet)
      let refused = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
      #expect(refused?.code == .refused)
      await pool.close()
      try await cluster.administer { server in
        try server.psql("ALTER SYSTEM RESET ALL;")
        try server.stop()
        try server.start()
      }
      await (try database.connect()).close()
    }
  }

  @Test("A role for which synchronous_commit is off is refused")
  func role() async throws {
    let database = try await TestCluster.shared().database("notification")
    let superuser = try await database.connect(as: .superuser)
    try await superuser.query("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
    let error = await #expect(throws: PostgresError.self) { _ = try await database.connect() }
    #expect(error?.code == .refused)
    await superuser.close()
  }

  @Test("Without data checksums: refused")
  func checksums() async throws {
    let cluster = try await TestCluster.separate(checksums: false)
    let error = await #expect(throws: PostgresError.self) { _ = try await cluster.standardDatabase("ledger").connect() }
    #expect(error?.code == .refused)
    #expect(error?.message.contains("checksums") == true)
  }
}
