import Foundation
import Synchronization

/// One run of one of Florin's own executables, as a user would run it.
struct CommandRun: Sendable {
  var status: Int32
  var standardOutput: String
  var standardError: String

  var json: JSONValue? { JSONValue(parsing: standardOutput) }

  /// Runs the executable to its end. Output goes through files, so that a process that stays behind cannot hold a pipe open.
  static func florin(
    _ arguments: [String], environment: [String: String] = [:], directory: URL? = nil, executable: String = "florin"
  ) async throws -> CommandRun {
    let scratch = FileManager.default.temporaryDirectory.appending(path: "florin-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: scratch) }
    let out = scratch.appending(path: "out")
    let err = scratch.appending(path: "err")
    for file in [out, err] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
    let process = Process()
    process.executableURL = Executables.directory.appending(path: executable)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let directory { process.currentDirectoryURL = directory }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: out)
    process.standardError = try FileHandle(forWritingTo: err)
    let status: Int32 = try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    return CommandRun(
      status: status, standardOutput: String(decoding: try Data(contentsOf: out), as: UTF8.self),
      standardError: String(decoding: try Data(contentsOf: err), as: UTF8.self))
  }
}

/// Where the executables under test are: beside the test bundle.
enum Executables {
  static let directory: URL = {
    for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
      return URL(fileURLWithPath: argument).deletingLastPathComponent()
    }
    return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
  }()
}

/// Just enough of JSON to ask for a path.
struct JSONValue: Sendable, CustomStringConvertible {
  private let data: Data

  init?(parsing text: String) {
    let data = Data(text.utf8)
    guard (try? JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])) != nil else { return nil }
    self.data = data
  }

  private init?(_ object: Any?) {
    guard let object, let data = try? JSONSerialization.data(withJSONObject: object, options: [.fragmentsAllowed]) else { return nil }
    self.data = data
  }

  private var object: Any? { try? JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed]) }

  subscript(_ key: String) -> JSONValue? { JSONValue((object as? [String: Any])?[key]) }

  var array: [JSONValue] { (object as? [Any] ?? []).compactMap { JSONValue($0) } }
  var string: String? { object as? String }
  var int: Int? { (object as? NSNumber)?.intValue }
  var bool: Bool? { (object as? NSNumber)?.boolValue }
  var keys: [String] { (object as? [String: Any]).map { $0.keys.sorted() } ?? [] }
  var description: String { String(decoding: data, as: UTF8.self) }
}
