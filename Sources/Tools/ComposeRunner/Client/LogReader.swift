import FoundationEssentials
import Glibc

/// Reads the services' logs: what is there, in order of time, and what comes.
public struct LogReader {
  /// One line of one service.
  public struct Line: Sendable, Hashable {
    public var service: String
    public var text: String
  }

  private struct Source {
    var service: String
    var path: String
    var inode: ino_t = 0
    var offset: off_t = 0
    var partial: [UInt8] = []
  }

  private var sources: [Source]

  /// - Parameter services: names; logs that do not exist yet are read when they do.
  public init(_ directory: StateDirectory, services: [String]) {
    sources = services.map { Source(service: $0, path: directory.log(of: $0)) }
  }

  /// What is there now, oldest first as far as lines say when they were written.
  /// - Parameter tail: at most this many of each service; nil: all.
  public mutating func existing(tail: Int?) -> [Line] {
    var all: [(time: String, line: Line)] = []
    for index in sources.indices {
      let lines = readNew(index)
      var time = ""
      for text in tail.map({ lines.suffix($0) }) ?? lines[...] {
        // A line without a time belongs to the one before it.
        time = Self.timestamp(in: text) ?? time
        all.append((time, Line(service: sources[index].service, text: text)))
      }
    }
    // RFC 3339 in UTC with equal decimals sorts as text; the sort keeps equal ones as they were.
    return all.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element.line)
  }

  /// Leaves out what is there now.
  public mutating func skipExisting() {
    for index in sources.indices { _ = readNew(index) }
  }

  /// What has come since the last look.
  public mutating func new() -> [Line] {
    sources.indices.flatMap { index in readNew(index).map { Line(service: sources[index].service, text: $0) } }
  }

  private mutating func readNew(_ index: Int) -> [String] {
    let descriptor = open(sources[index].path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return [] }
    if status.st_ino != sources[index].inode || status.st_size < sources[index].offset {
      sources[index].inode = status.st_ino
      sources[index].offset = 0
      sources[index].partial = []
    }
    var lines: [String] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = pread(descriptor, &buffer, buffer.count, sources[index].offset)
      guard count > 0 else { return lines }
      sources[index].offset += off_t(count)
      var rest = buffer[..<count]
      while let newline = rest.firstIndex(of: 0x0a) {
        lines.append(String(decoding: sources[index].partial + rest[..<newline], as: UTF8.self))
        sources[index].partial = []
        rest = rest[(newline + 1)...]
      }
      sources[index].partial += rest
    }
  }

  /// The value of `"timestamp":"…"` in a line of JSON.
  private static func timestamp(in line: String) -> String? {
    guard line.hasPrefix("{"), let key = line.range(of: "\"timestamp\":\"") else { return nil }
    let rest = line[key.upperBound...]
    return rest.firstIndex(of: "\"").map { String(rest[..<$0]) }
  }
}
