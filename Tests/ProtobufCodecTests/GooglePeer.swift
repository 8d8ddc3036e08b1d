import Foundation

/// Google's protobuf in Python, asked in batches through Tests/Interop/protobuf_peer.py.
enum GooglePeer {
  enum Request {
    /// Decodes the bytes and encodes the message again.
    case parse(type: String, [UInt8])
    /// Whether both are the same message.
    case same(type: String, [UInt8], [UInt8])
    /// Encodes what the JSON says.
    case json(type: String, String)
    /// Encodes a random message.
    case random(type: String, seed: UInt32)

    fileprivate var line: String {
      switch self {
      case .parse(let type, let bytes): "parse \(type) \(hexadecimal(bytes))"
      case .same(let type, let one, let other): "same \(type) \(hexadecimal(one)) \(hexadecimal(other))"
      case .json(let type, let json): "json \(type) \(json)"
      case .random(let type, let seed): "random \(type) \(seed)"
      }
    }
  }

  enum Answer: Equatable {
    case bytes([UInt8])
    case refused
    case same(Bool)
  }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// One answer for each request, in order.
  static func ask(_ requests: [Request]) throws -> [Answer] {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("florin-protobuf-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let schema = directory.appendingPathComponent("schema.bin")
    let input = directory.appendingPathComponent("requests")
    try Data((requests.map(\.line).joined(separator: "\n") + "\n").utf8).write(to: input)

    let proto = root.appendingPathComponent("proto").resolvingSymlinksInPath().path
    let files = try FileManager.default.subpathsOfDirectory(atPath: proto).filter { $0.hasSuffix(".proto") }.sorted()
    _ = try run(
      ["protoc", "-I", proto, "--include_imports", "--descriptor_set_out=\(schema.path)"] + files,
      hint: "it needs to be there: apt-get install protobuf-compiler")
    let python = try run([root.appendingPathComponent("scripts/python-venv.sh").path], hint: "its message says what is missing")
    let script = root.appendingPathComponent("Tests/Interop/protobuf_peer.py").path
    let output = try run(
      [python.trimmingCharacters(in: .newlines), script, schema.path], input: input, hint: "see Tests/Interop/protobuf_peer.py")
    let answers = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line -> Answer in
      switch line {
      case "refused": .refused
      case "yes": .same(true)
      case "no": .same(false)
      default: .bytes(bytes(hexadecimal: line))
      }
    }
    guard answers.count == requests.count else {
      throw Failure(description: "\(requests.count) requests to Python's protobuf, \(answers.count) answers")
    }
    return answers
  }

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  private static let root = folder.deletingLastPathComponent().deletingLastPathComponent()

  /// Standard output of a program that must succeed. Files instead of pipes: nothing can fill up and block.
  private static func run(_ command: [String], input: URL? = nil, hint: String) throws -> String {
    let output = FileManager.default.temporaryDirectory.appendingPathComponent("florin-output-\(UUID().uuidString)")
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent("florin-errors-\(UUID().uuidString)")
    for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
    defer { for file in [output, errors] { try? FileManager.default.removeItem(at: file) } }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let message = String(decoding: try Data(contentsOf: errors), as: UTF8.self).suffix(2000)
      throw Failure(description: "\(command[0]) failed (exit \(process.terminationStatus)): \(hint)\n\(message)")
    }
    return String(decoding: try Data(contentsOf: output), as: UTF8.self)
  }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

func bytes(hexadecimal text: some StringProtocol) -> [UInt8] {
  let digits = Array(text.utf8).map { UInt8($0 < 0x3a ? $0 - 0x30 : $0 - 0x61 + 10) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
