internal import Glibc
internal import Logging
internal import ServiceLifecycle

/// Returns, and so ends the process, when the descriptor that its parent holds open reaches its end: a runner that was killed leaves no orphans.
struct LifelineWatcher: Service {
  let descriptor: Int32
  let logger: Logger

  /// How late the end may be noticed.
  static let interval = Duration.milliseconds(100)

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      while !hasEnded() { try await Task.sleep(for: Self.interval) }
      logger.notice("service.lifeline_ended", metadata: ["detail": "the process that started this one is gone"])
    }
  }

  /// Whether everybody who could write is gone. What is written is read and ignored.
  private func hasEnded() -> Bool {
    var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&polled, 1, 0) > 0 else { return false }
    if polled.revents & Int16(POLLNVAL) != 0 { return true }
    guard polled.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { return false }
    var byte: UInt8 = 0
    let count = read(descriptor, &byte, 1)
    return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)
  }
}
