import FoundationEssentials
import Glibc
import Money

/// The supervisor's own log: one JSON object a line, as the services write theirs.
struct EventLog: ~Copyable {
  private let file: FileDescriptor

  init(path: String) throws(RunnerError) {
    file = FileDescriptor(try LogFile.open(path))
  }

  func write(_ event: String, subject: String? = nil, detail: String = "") {
    struct Line: Encodable {
      var event: String
      var timestamp: String
      var level: String
      var service: String
      var subject: String?
      var detail: String?
    }
    let isBad = event.hasSuffix("failed") || event.hasSuffix("unhealthy")
    let line = Line(
      event: event, timestamp: SystemWallClock().now.description, level: isBad ? "error" : "info", service: "supervisor",
      subject: subject, detail: detail.isEmpty ? nil : detail)
    guard var data = try? ControlCoding.encoder().encode(line) else { return }
    data.append(0x0a)
    // A full disk must not stop the supervisor; the services' own writes will show it.
    data.withUnsafeBytes { _ = Glibc.write(file.raw, $0.baseAddress, $0.count) }
  }
}

/// Files that processes append their output to.
enum LogFile {
  /// One that has grown beyond this is put aside at the next start of its service; one older one is kept.
  static let rotateAtBytes: Int64 = 32 << 20

  /// For appending, close-on-exec.
  static func open(_ path: String) throws(RunnerError) -> Int32 {
    var status = stat()
    if stat(path, &status) == 0, status.st_size > rotateAtBytes { rename(path, path + ".1") }
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw RunnerError(.environment, "the log '\(path)' cannot be written (\(systemMessage(errno))): check the state directory")
    }
    return descriptor
  }

  static func size(_ path: String) -> Int64 {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : 0
  }

  /// What was written after an offset, at most the last `limit` bytes of it, without the first half line.
  static func tail(_ path: String, after offset: Int64 = 0, limit: Int = 4096) -> String {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    let size = Self.size(path)
    let start = max(min(offset, size), size - Int64(limit))
    var bytes = [UInt8](repeating: 0, count: Int(size - start))
    let count = pread(descriptor, &bytes, bytes.count, off_t(start))
    guard count > 0 else { return "" }
    var text = Substring(String(decoding: bytes[..<count], as: UTF8.self))
    if start > offset, let newline = text.firstIndex(of: "\n") { text = text[text.index(after: newline)...] }
    return text.trimmingSuffix { $0.isWhitespace }
  }
}

extension Substring {
  fileprivate func trimmingSuffix(while condition: (Character) -> Bool) -> String {
    var rest = self
    while let last = rest.last, condition(last) { rest.removeLast() }
    return String(rest)
  }
}
