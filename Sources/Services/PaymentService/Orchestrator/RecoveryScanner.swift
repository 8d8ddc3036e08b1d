internal import Logging
internal import Postgres
internal import ServiceLifecycle
internal import Synchronization

/// Looks for sagas that are due and that nobody runs: at once after the start, and then for ever.
final class RecoveryScanner: Service {
  private static let handful = 32

  private let orchestrator: PaymentOrchestrator
  private let interval: Duration
  private let lastError = Mutex<String?>("it has not looked yet")

  init(_ orchestrator: PaymentOrchestrator, every interval: Duration = .milliseconds(500)) {
    self.orchestrator = orchestrator
    self.interval = interval
  }

  /// For readiness: nil if the last look succeeded, else why not.
  var problem: String? { lastError.withLock { $0 } }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        await self.scan()
        do { try await Task.sleep(for: self.interval * Int.random(in: 80...120) / 100) } catch { return }
      }
    }
  }

  private func scan() async {
    do {
      // A full hand means that there may be more. Anything less waits for the next look: a saga that fails at once would
      // otherwise be taken again at once.
      while try await orchestrator.recover(limit: Self.handful) >= Self.handful, !Task.isCancelled {}
      lastError.withLock { $0 = nil }
    } catch {
      guard !Task.isCancelled else { return }
      let isNews = lastError.withLock { last in
        defer { last = "\(error)" }
        return last == nil
      }
      if isNews { orchestrator.logger.error("saga.scan_failed", metadata: ["detail": .string("\(error)")]) }
    }
  }
}
