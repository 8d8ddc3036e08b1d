import Foundation

/// The two streams of the program: results on one, progress and errors on the other.
enum Console {
  static func print(_ text: String) { write(text + "\n", to: 1) }

  static func error(_ text: String) { write(text + "\n", to: 2) }

  /// What goes on, for people: on standard error, never between results.
  static func progress(_ text: String) { write(text + "\n", to: 2) }

  static var isTerminal: Bool { isatty(1) == 1 }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      // A reader that has gone (a pipe into head) is no error of ours.
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}
