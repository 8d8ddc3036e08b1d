internal import Logging
internal import Metrics
internal import Money
internal import Postgres
internal import ServiceLifecycle

/// Completes events that nobody completed: a crash between their commit and the ledger's, a ledger that was away, a caller's
/// process that ended. Runs all the time, in every process of the service.
struct Reconciler: Service {
  let store: AccountStore
  let driver: ChangeDriver
  let logger: Logger
  var interval: Duration = .seconds(1)

  /// Events taken at once.
  private static let batch = 16

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        var taken = 0
        do {
          taken = try await reconcile()
          Gauge(label: "account_changes_pending").record(try await store.pendingCount())
        } catch {
          if Task.isCancelled { return }
          logger.warning("account.reconciler_failed", error: error, metadata: ["detail": "\(error)"])
        }
        // A full batch means that there may be more.
        if taken < Self.batch { try? await Task.sleep(for: interval) }
      }
    }
  }

  /// Drives the events that are due. Returns how many were.
  func reconcile() async throws -> Int {
    let due = try await store.takeDueEvents(limit: Self.batch)
    await withDiscardingTaskGroup { group in
      for id in due {
        group.addTask {
          do { _ = try await driver.drive(id) } catch {
            // It stays in the queue and is due again later.
            logger.warning("account.reconciliation_delayed", error: error, metadata: ["event_id": "\(id)", "detail": "\(error)"])
          }
        }
      }
    }
    return due.count
  }
}
