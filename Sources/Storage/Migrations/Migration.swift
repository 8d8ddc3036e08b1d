internal import Digest

/// One step of a schema's history. Once applied anywhere it never changes again: its checksum is kept in the database.
public struct Migration: Sendable {
  /// Applied in ascending order. 1 to 99: tables that every service has; a service's own start at 100.
  public let version: Int
  /// A few words, for people.
  public let name: String
  /// Any number of commands. Runs as the owner, with the schema as the only entry of the search path: tables are not
  /// qualified, so that the same migration works in any schema. Must not contain BEGIN or COMMIT.
  public let sql: StaticString

  public init(version: Int, name: String, sql: StaticString) {
    self.version = version
    self.name = name
    self.sql = sql
  }

  /// SHA-256 of the text, 32 bytes.
  public var checksum: [UInt8] { sql.withUTF8Buffer { SHA256.hash($0) } }
}
