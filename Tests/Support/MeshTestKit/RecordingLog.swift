public import Logging

/// Keeps every line that is logged, as "event key=value …" with the keys in order.
public struct RecordingLog: Sendable {
  public let lines = Record<String>()

  public init() {}

  public var logger: Logger {
    let lines = lines
    return Logger(label: "test") { _ in Handler(lines: lines) }
  }

  public func contains(_ event: String) -> Bool { lines.all.contains { $0.hasPrefix(event) } }

  private struct Handler: LogHandler {
    let lines: Record<String>
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      lines.append(([event.message.description] + all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: " "))
    }
  }
}
