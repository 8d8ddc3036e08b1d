import Foundation
import Synchronization

/// How often the user has pressed Ctrl-C (or something has sent TERM).
final class Interrupts: Sendable {
  private static let pressed = Atomic<Int>(0)

  init() {
    // An atomic addition is all that may be done in a handler.
    let handler: @convention(c) (Int32) -> Void = { _ in _ = Interrupts.pressed.add(1, ordering: .relaxed) }
    signal(SIGINT, handler)
    signal(SIGTERM, handler)
    // A terminal that is closed is a Ctrl-C, too.
    signal(SIGHUP, handler)
  }

  var count: Int { Self.pressed.load(ordering: .relaxed) }
}
