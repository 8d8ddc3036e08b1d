import Foundation
import Migrations
import Postgres
import PostgresTestKit
import Synchronization
import Testing

@testable import ServiceRuntime

@Suite("Migrating")
struct MigrateTests {
  let output = ServiceMainTests.Output()

  func run(_ harness: ServiceHarness, _ more: String...) async -> Int32 {
    let output = output
    let arguments = [
      "migrate", "--identity-directory", harness.cluster.identity("migrator"), "--database-port", "\(harness.cluster.server.port)",
      "--database-name", harness.database,
    ]
    return await ServiceMain.run(harness.definition(), arguments: arguments + more) { output.write($0, $1) }
  }

  @Test("Each applied migration is a line; the second run applies none")
  func twice() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    #expect(await run(harness) == 0, "\(output.error)")
    #expect(output.standard.contains("account: applied 100 notes\n"))
    let all = harness.definition().allMigrations.count
    #expect(output.standard.hasSuffix("account: \(all) applied, 0 were applied before\n"))
    #expect(await run(harness) == 0)
    #expect(output.standard.hasSuffix("account: 0 applied, \(all) were applied before\n"))
  }

  @Test("An edited migration is refused with exit code 4")
  func edited() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    #expect(await run(harness) == 0)
    harness.migrations = [Migration(version: 100, name: "notes", sql: "CREATE TABLE other_notes (id int PRIMARY KEY)")]
    #expect(await run(harness) == 4)
    #expect(output.error.contains("edited"))
  }

  @Test("A migration that fails leaves nothing behind and exits with 1")
  func failing() async throws {
    var harness = try await ServiceHarness(cluster: .shared())
    harness.migrations = [Migration(version: 100, name: "broken", sql: "CREATE TABLE half (id int); SELECT 1/0")]
    #expect(await run(harness) == 1)
    #expect(output.error.contains("100 (broken)"))
    harness.migrations = [Migration(version: 100, name: "whole", sql: "CREATE TABLE half (id int)")]
    #expect(await run(harness) == 0, "\(output.error)")
  }

  @Test("The service's own identity may not migrate: exit code 4")
  func wrongIdentity() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    #expect(await run(harness, "--identity-directory", harness.cluster.identity("account")) == 4)
    #expect(output.error.contains("refused"), "\(output.error)")
  }

  @Test("A database that is not there is exit code 3, one that does not exist 4")
  func unreachable() async throws {
    let harness = try await ServiceHarness(cluster: .shared())
    #expect(await run(harness, "--database-port", "\(try ServiceHarness.freePort())") == 3, "\(output.error)")
    #expect(await run(harness, "--database-name", "nobodys") == 4, "\(output.error)")
  }
}
