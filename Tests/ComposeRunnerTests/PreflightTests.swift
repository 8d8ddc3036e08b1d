import Foundation
import Glibc
import Testing

@testable import ComposeRunner

@Suite struct PreflightTests {
  /// A port of 127.0.0.1 that this process listens on.
  private func takenPort() throws -> (descriptor: Int32, port: Int) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = LoopbackPort.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Bool in
        bind(descriptor, pointer, length) == 0 && listen(descriptor, 1) == 0 && getsockname(descriptor, pointer, &length) == 0
      }
    }
    try #require(port)
    return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
  }

  @Test("a port that is taken is named, with who has it and which variable changes it")
  func namesTakenPort() throws {
    let (descriptor, port) = try takenPort()
    defer { close(descriptor) }
    let project = try TestProject(
      "services: {app: {x-florin: {kind: process, executable: sleep, arguments: [\"1000\"], ports: {mesh: \(port)}}}}")
    let error = #expect(throws: RunnerError.self) { try project.start() }
    #expect(error?.code == .environment)
    for word in ["\(port)", "(pid \(getpid()))", "FLORIN_APP_PORT"] {
      #expect(error?.message.contains(word) == true, "\(String(describing: error))")
    }
    #expect(project.running == [])
  }

  @Test("a state directory that cannot be written is named, with what to do")
  func namesUnwritableDirectory() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sleep, arguments: [\"1000\"]}}}")
    try "in the way".write(toFile: project.root + "/file", atomically: true, encoding: .utf8)
    // /sys refuses even root; the others are in the way of anybody.
    for path in ["/sys/florin", project.root + "/file", project.root + "/file/below", project.root + "/no/such"] {
      let plan = try project.plan(stateDirectory: path)
      let error = #expect(throws: RunnerError.self) { try ProjectLifecycle.start(plan, programs: TestProject.programs, attached: false) }
      #expect(error?.code == .environment, "\(path): \(String(describing: error))")
      #expect(error?.message.contains("--state-dir") == true, "\(path): \(String(describing: error))")
    }
  }

  @Test("an executable that has not been built is named, with what to do")
  func namesMissingExecutable() throws {
    let project = try TestProject(
      """
      services:
        app: {x-florin: {kind: service, executable: no-such-service, ports: {mesh: 7, ops: 8}}}
      """)
    let error = #expect(throws: RunnerError.self) { try project.start() }
    #expect(error?.code == .environment)
    for word in ["no-such-service", "swift build"] { #expect(error?.message.contains(word) == true) }
  }

  @Test("a program that is not installed is named before anything starts")
  func namesMissingProgram() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: no-such-program}}}")
    let error = #expect(throws: RunnerError.self) { try project.start() }
    #expect(error?.message.contains("no-such-program") == true)
  }

  @Test("without a compose file, it says where one is looked for")
  func namesMissingFile() {
    let error = #expect(throws: ComposeError.self) {
      try Project.open(file: "/nowhere/x.yaml", stateDirectory: nil, certificatesDirectory: nil, variables: [:], executablesDirectory: "/")
    }
    #expect(error?.message.contains("/nowhere/x.yaml") == true)
  }
}
