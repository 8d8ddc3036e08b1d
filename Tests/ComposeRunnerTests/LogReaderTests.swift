import Foundation
import Testing

@testable import ComposeRunner

@Suite struct LogReaderTests {
  private func makeDirectory() throws -> StateDirectory {
    let path = FileManager.default.temporaryDirectory.path + "/florin-logs-" + UUID().uuidString
    let directory = StateDirectory(path: path)
    try directory.create()
    return directory
  }

  private func append(_ text: String, to path: String) throws {
    let descriptor = try LogFile.open(path)
    defer { close(descriptor) }
    #expect(text.utf8.count == Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) })
  }

  @Test("lines of several services come in order of time, those without a time after the one before them")
  func mergesByTime() throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory.path) }
    try append(
      "{\"timestamp\":\"2026-01-01T00:00:01.0Z\"}\nplain\n{\"timestamp\":\"2026-01-01T00:00:04.0Z\"}\n", to: directory.log(of: "a"))
    try append("{\"event\":\"x\",\"timestamp\":\"2026-01-01T00:00:02.0Z\"}\n", to: directory.log(of: "b"))
    // "timestamp" need not come first.
    var reader = LogReader(directory, services: ["a", "b", "none"])
    let lines = reader.existing(tail: nil)
    #expect(lines.map(\.service) == ["a", "a", "b", "a"])
    #expect(lines[1].text == "plain")
    var last = LogReader(directory, services: ["a", "b"])
    #expect(last.existing(tail: 1).map(\.service) == ["b", "a"])
  }

  @Test("following shows each line once, whole, also when a file appears, or is put aside")
  func follows() throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory.path) }
    let path = directory.log(of: "a")
    try append("old\n", to: path)
    var reader = LogReader(directory, services: ["a", "b"])
    reader.skipExisting()
    #expect(reader.new() == [])
    try append("hal", to: path)
    #expect(reader.new() == [])
    try append("f\nnext\n", to: path)
    #expect(reader.new().map(\.text) == ["half", "next"])
    try append("b1\n", to: directory.log(of: "b"))
    #expect(reader.new() == [LogReader.Line(service: "b", text: "b1")])
    try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
    try append("fresh\n", to: path)
    #expect(reader.new().map(\.text) == ["fresh"])
  }

  @Test("the tail of a log is its last whole lines")
  func tails() throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory.path) }
    let path = directory.log(of: "a")
    #expect(LogFile.tail(path) == "")
    try append((1...100).map { "line \($0)\n" }.joined(), to: path)
    #expect(LogFile.tail(path, limit: 20) == "line 99\nline 100")
    #expect(LogFile.tail(path, after: LogFile.size(path)) == "")
  }
}
