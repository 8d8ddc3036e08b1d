import Foundation
import Testing

/// protoc-gen-florin itself, run by protoc on small schemas.
@Suite struct GeneratorTests {
  private func generate(_ schema: String, parameters: String = "module=Sample") throws -> (code: String, errors: String) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("florin-generator-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try Data(schema.utf8).write(to: directory.appendingPathComponent("sample.proto"))
    let plugin = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let errors = directory.appendingPathComponent("errors")
    _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "protoc", "-I", directory.path,
      "--plugin=protoc-gen-florin=" + URL(fileURLWithPath: plugin).deletingLastPathComponent().path + "/protoc-gen-florin",
      "--florin_out=\(parameters):\(directory.path)", "sample.proto",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasSuffix(".pb.swift") }
    let code = try files.map { try String(contentsOf: directory.appendingPathComponent($0), encoding: .utf8) }.joined()
    #expect((process.terminationStatus == 0) == !code.isEmpty)
    return (code, try String(contentsOf: errors, encoding: .utf8))
  }

  @Test("names, comments and defaults of a schema stand in the Swift code")
  func code() throws {
    let (code, errors) = try generate(
      """
      syntax = "proto3";
      // About samples.
      package florin.sample_case.v1;
      // What it is.
      //
      // And why.
      message Thing {
        // Its id.
        string event_id = 1;
        int32 count = 2;  // How many.
      }
      """)
    #expect(errors.isEmpty)
    for line in [
      "/// About samples.\npublic enum SampleCaseAPI {}",
      "  /// What it is.\n  ///\n  /// And why.\n  public struct Thing: ProtobufMessage {",
      "    /// Its id.\n    public var eventID: String = \"\"", "    /// How many.\n    public var count: Int32 = 0",
      "public init(eventID: String = \"\", count: Int32 = 0) {",
    ] {
      #expect(code.contains(line), "\(line)")
    }
    #expect(!code.contains("import MeshProtocol"))
  }

  @Test("another namespace can be asked for")
  func namespace() throws {
    let code = try generate("syntax = \"proto3\"; package a.b.v1; message M {}", parameters: "module=Sample,namespace=Other").code
    #expect(code.contains("public enum Other {}"))
  }

  @Test(
    "what the generator does not know it refuses, and says what",
    arguments: [
      ("syntax = \"proto2\"; package p.v1; message M { optional int32 a = 1; }", "only proto3"),
      ("syntax = \"proto3\"; package p.v1; message M { optional int32 a = 1; }", "optional"),
      ("syntax = \"proto3\"; package p.v1; message M {} service S { rpc R(stream M) returns (M); }", "streaming"),
      ("syntax = \"proto3\"; package p.v1; enum E { option allow_alias = true; A = 0; B = 0; }", "allow_alias"),
      ("syntax = \"proto3\"; package p.v1; enum E { E_UNRECOGNIZED = 0; }", "unrecognized"),
    ])
  func refusals(schema: String, words: String) throws {
    let (code, errors) = try generate(schema)
    #expect(code.isEmpty)
    #expect(errors.contains(words), "\(errors)")
  }

  @Test("parameters that it does not know, and a missing module, are refused", arguments: ["modul=Sample", "namespace=A"])
  func parameters(parameters: String) throws {
    let (code, errors) = try generate("syntax = \"proto3\"; package p.v1; message M {}", parameters: parameters)
    #expect(code.isEmpty)
    #expect(errors.contains("module=NAME"))
  }
}
