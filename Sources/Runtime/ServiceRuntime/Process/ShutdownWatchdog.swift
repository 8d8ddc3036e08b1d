internal import Dispatch
internal import Glibc
internal import Logging
internal import Synchronization

/// Ends the process by force if a shutdown does not come to its end. Not a task: it must work when all tasks are stuck.
final class ShutdownWatchdog: Sendable {
  private let isOver = Atomic<Bool>(false)

  /// Begins to count.
  func arm(_ limit: Duration, _ logger: Logger) {
    let (seconds, attoseconds) = limit.components
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Int(seconds)) + .nanoseconds(Int(attoseconds / 1_000_000_000))) {
      guard !self.isOver.load(ordering: .acquiring) else { return }
      logger.critical("service.shutdown_timed_out", metadata: ["detail": "the process did not end in time and is ended by force"])
      _exit(ServiceFailure.Code.internalBug.rawValue)
    }
  }

  /// The shutdown came to its end.
  func disarm() { isOver.store(true, ordering: .releasing) }
}
