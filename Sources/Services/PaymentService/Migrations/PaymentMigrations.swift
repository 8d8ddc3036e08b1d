internal import Migrations

/// The payment service's tables, in its own schema of its own database. Each migration is final once released: a change is a new one.
enum PaymentMigrations {
  static let all: [Migration] = [
    Migration(version: 100, name: "payments and idempotency keys", sql: paymentsAndKeys),
    Migration(version: 101, name: "sagas", sql: sagas),
    Migration(version: 102, name: "views", sql: views),
  ]
}
