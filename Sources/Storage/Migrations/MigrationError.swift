public import Postgres

/// Why a schema could not be brought up to date. Nothing of the migration that failed is in the database.
public struct MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: Sendable, Hashable {
    /// The list of migrations given is itself wrong: not ascending, a version twice, none positive.
    case badList
    /// An applied migration's text is not what was applied.
    case edited(version: Int)
    /// The database has a migration that the list lacks: the program is older than the database.
    case missing(version: Int)
    /// The list has a migration below the newest applied one.
    case outOfOrder(version: Int)
    /// Somebody else migrates, and did not finish in time.
    case locked
    /// A name of a schema or role is not a plain one.
    case badName
    /// A statement failed.
    case failed(version: Int?, PostgresError)
  }

  public let code: Code
  public let message: String
  public var description: String { message }

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
