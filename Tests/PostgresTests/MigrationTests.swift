import Migrations
import Postgres
import PostgresTestKit
import Testing

@Suite("Migrations") struct MigrationTests {
  private static let first = Migration(version: 100, name: "first", sql: "CREATE TABLE one (id bigint); CREATE TABLE two (id bigint);")
  private static let second = Migration(version: 200, name: "second", sql: "ALTER TABLE one ADD COLUMN name text")
  private static let between = Migration(version: 150, name: "between", sql: "CREATE TABLE three (id bigint)")

  private func migrate(
    _ database: TestDatabase, _ migrations: [Migration], lockLimit: Duration = .seconds(30)
  ) async throws -> [Int] {
    let connection = try await database.connect(as: .migrator)
    do {
      let report = try await Migrator.migrate(
        connection, schema: database.service, owner: database.service + "_owner", migrations: migrations, lockLimit: lockLimit,
        logger: .quiet)
      await connection.close()
      return report.applied.map(\.version)
    } catch {
      await connection.close()
      throw error
    }
  }

  @Test("Migrations are applied in order, once, by the owner, in the schema")
  func order() async throws {
    let database = try await TestCluster.shared().database("account")
    #expect(try await migrate(database, [Self.first]) == [100])
    #expect(try await migrate(database, [Self.first, Self.second]) == [200])
    #expect(try await migrate(database, [Self.first, Self.second]) == [])
    let superuser = try await database.connect(as: .superuser)
    let tables = try await superuser.query(
      "SELECT tablename::text AS name, tableowner::text AS owner FROM pg_tables WHERE schemaname = 'account' ORDER BY 1")
    #expect(try tables.map { try $0.text("name") } == ["one", "schema_migrations", "two"])
    #expect(try Set(tables.map { try $0.text("owner") }) == ["account_owner"])
    let history = try await superuser.query("SELECT version, applied_by FROM account.schema_migrations ORDER BY version")
    #expect(try history.map { try $0.int64("version") } == [100, 200])
    #expect(try Set(history.map { try $0.text("applied_by") }) == ["migrator"])
    await superuser.close()
  }

  @Test("An edited, a missing and a late migration are refused, and nothing is applied")
  func refusals() async throws {
    let database = try await TestCluster.shared().database("account", migrations: [Self.first, Self.second])
    let edited = Migration(version: 100, name: "first", sql: "CREATE TABLE one (id integer); CREATE TABLE two (id bigint);")
    let third = Migration(version: 300, name: "third", sql: "CREATE TABLE four (id bigint)")
    func code(_ migrations: [Migration]) async -> MigrationError.Code? {
      do { _ = try await migrate(database, migrations) } catch { return (error as? MigrationError)?.code }
      return nil
    }
    #expect(await code([edited, Self.second, third]) == .edited(version: 100))
    #expect(await code([Self.second, third]) == .missing(version: 100))
    #expect(await code([Self.first, Self.between, Self.second]) == .outOfOrder(version: 150))
    #expect(await code([Self.second, Self.first]) == .badList)
    #expect(await code([Self.first, Self.first]) == .badList)
    let superuser = try await database.connect(as: .superuser)
    #expect(try await superuser.query("SELECT to_regclass('account.four') IS NULL AS none").first?.bool("none") == true)
    await superuser.close()
  }

  @Test("A migration that fails leaves nothing behind, and what came before it stays")
  func failure() async throws {
    let database = try await TestCluster.shared().database("account")
    let broken = Migration(version: 200, name: "broken", sql: "CREATE TABLE half (id bigint); SELECT 1/0;")
    let error = await #expect(throws: MigrationError.self) { try await migrate(database, [Self.first, broken]) }
    guard case .failed(version: 200, let cause)? = error?.code else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(cause.sqlState == "22012")
    let superuser = try await database.connect(as: .superuser)
    let row = try #require(
      try await superuser.query("SELECT to_regclass('account.half') IS NULL AS gone, to_regclass('account.one') IS NOT NULL AS kept").first)
    #expect(try row.bool("gone"))
    #expect(try row.bool("kept"))
    await superuser.close()
    #expect(try await migrate(database, [Self.first, Self.second]) == [200])
  }

  @Test("Of several migrators at a time one applies and the others find it done")
  func concurrently() async throws {
    for _ in 0..<3 {
      let database = try await TestCluster.shared().database("account")
      let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
        for _ in 0..<4 { group.addTask { try await migrate(database, [Self.first, Self.second]) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(applied.filter { $0 == [100, 200] }.count == 1)
      #expect(applied.filter(\.isEmpty).count == 3)
    }
  }

  @Test("A migrator waits for another only so long")
  func lock() async throws {
    let database = try await TestCluster.shared().database("account")
    let other = try await database.connect(as: .superuser)
    try await other.query("SELECT pg_advisory_lock(hashtextextended('florin.migrate.account', 0))")
    let error = await #expect(throws: MigrationError.self) { try await migrate(database, [Self.first], lockLimit: .milliseconds(200)) }
    #expect(error?.code == .locked)
    await other.close()
  }

  @Test("Without the rights of the owner there is no migration")
  func rights() async throws {
    let database = try await TestCluster.shared().database("account")
    let service = try await database.connect()
    await #expect(throws: MigrationError.self) {
      try await Migrator.migrate(service, schema: "account", owner: "account_owner", migrations: [Self.first], logger: .quiet)
    }
    await #expect(throws: MigrationError.self) {
      try await Migrator.migrate(service, schema: "account; DROP SCHEMA x", owner: "account_owner", migrations: [], logger: .quiet)
    }
    await service.close()
  }
}
