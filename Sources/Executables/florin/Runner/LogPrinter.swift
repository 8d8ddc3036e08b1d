import ComposeRunner
import Foundation

/// Prints log lines with the name of their service before them, in its colour if somebody looks at a terminal.
struct LogPrinter {
  private let width: Int
  private let order: [String]
  private let isPrefixed: Bool
  private let isColoured: Bool

  init(services: [String], isPrefixed: Bool) {
    order = services
    width = services.map(\.count).max() ?? 0
    self.isPrefixed = isPrefixed
    // https://no-color.org
    isColoured = Console.isTerminal && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
  }

  mutating func print(_ line: LogReader.Line) {
    guard isPrefixed else { return Console.print(line.text) }
    let name = line.service + String(repeating: " ", count: width - min(width, line.service.count))
    guard isColoured, let index = order.firstIndex(of: line.service) else { return Console.print("\(name) | \(line.text)") }
    Console.print("\u{1b}[\([36, 33, 32, 35, 34, 31][index % 6])m\(name) |\u{1b}[0m \(line.text)")
  }
}
