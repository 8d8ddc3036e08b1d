public import Migrations

/// What the ledger adds to the tables that all services have. What has been released is never edited: a change is a migration
/// of its own.
public enum LedgerMigrations {
  public static let all: [Migration] = [ledgerTables]
}
