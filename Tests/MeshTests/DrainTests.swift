import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import ServiceLifecycle
import Testing

@Suite("Graceful shutdown", .serialized)
struct DrainTests {
  @Test("calls in flight when a drain begins all succeed", arguments: 1...10)
  func inFlight(round: Int) async throws {
    let entered = MeshTestKit.Counter()
    let gate = Gate()
    let server = try await TestServer(methods: [
      .test("test.Echo/Hold") { message, _ in
        entered.add()
        try await gate.wait()
        return RPCReply(message: message)
      }
    ])
    let channel = try server.channel()
    let calls = (0..<40).map { number in Task { try await channel.call("test.Echo/Hold", [UInt8(number)]).message } }
    try await eventually("40 handlers run") { entered.value == 40 }
    let stopped = Task { try await server.stop() }
    try await Task.sleep(for: .milliseconds(Int.random(in: 0...20)))
    gate.open()
    for (number, call) in calls.enumerated() { #expect(try await call.value == [UInt8(number)]) }
    try await stopped.value
    #expect(server.server.connectionCount == 0)
    await channel.shutDown()
  }

  @Test("servers that drain one after the other under load fail no call", arguments: 1...3)
  func rolling(round: Int) async throws {
    let first = try await TestServer()
    let second = try await TestServer()
    let channel = try MeshChannel.test([first.port, second.port])
    let done = MeshTestKit.Counter()
    let isOver = MeshTestKit.Counter()
    let failures = Record<RPCError>()
    let load = Task {
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<16 {
          group.addTask {
            while isOver.value == 0 {
              if let failure = await error({ try await channel.call() }) { failures.append(failure) }
              done.add()
            }
          }
        }
      }
    }
    try await eventually("calls flow") { done.value > 200 }
    try await first.stop()
    let afterFirst = done.value
    try await eventually("calls flow to the second") { done.value > afterFirst + 200 }
    let third = try await TestServer(port: first.port)
    try await second.stop()
    let afterSecond = done.value
    try await eventually("calls flow to the third") { done.value > afterSecond + 200 }
    isOver.add()
    await load.value
    #expect(failures.all.isEmpty)
    await channel.shutDown()
    try await third.stop()
  }

  @Test("a handler that does not end is cancelled at the drain's limit, and the caller told that it is unknown")
  func limit() async throws {
    let cancelled = MeshTestKit.Counter()
    let entered = MeshTestKit.Counter()
    let server = try await TestServer(methods: [
      .test("test.Echo/Hold") { _, _ in
        entered.add()
        do {
          try await Gate().wait()
        } catch {
          cancelled.add()
          throw error
        }
        return RPCReply(message: [])
      }
    ]) { $0.drainLimit = .milliseconds(200) }
    let channel = try server.channel()
    async let result = error { try await channel.call("test.Echo/Hold") }
    try await eventually("the handler runs") { entered.value == 1 }
    try await server.stop()
    #expect(cancelled.value == 1)
    let failure = try #require(await result)
    #expect(failure.code == .unavailable)
    #expect(failure.executed == .unknown)
    await channel.shutDown()
  }

  @Test("the graceful shutdown signal of a service group drains the server, and the channel after it")
  func serviceGroup() async throws {
    let gate = Gate()
    let entered = MeshTestKit.Counter()
    let authority = try TestAuthority.shared()
    let server = try MeshServer(
      configuration: MeshServerConfiguration(
        port: 0, tls: try authority.context("ledger", .server), policy: try .granting(["payment"], ["test.Echo/Hold"]),
        logger: TestServer.quiet),
      methods: [
        .test("test.Echo/Hold") { message, _ in
          entered.add()
          try await gate.wait()
          return RPCReply(message: message)
        }
      ])
    let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: TestServer.quiet))
    let running = Task { try await group.run() }
    let port = try #require(await server.listening())
    let channel = try MeshChannel.test([port])
    let channels = ServiceGroup(configuration: .init(services: [.init(service: channel)], logger: TestServer.quiet))
    let channelRunning = Task { try await channels.run() }
    async let reply = channel.call("test.Echo/Hold", [7])
    try await eventually("the handler runs") { entered.value == 1 }
    await group.triggerGracefulShutdown()
    gate.open()
    #expect(try await reply.message == [7])
    try await running.value
    #expect(server.boundPort == nil)
    await channels.triggerGracefulShutdown()
    try await channelRunning.value
  }

  @Test("a port that is taken is an error that says so")
  func portTaken() async throws {
    let server = try await TestServer()
    await #expect(throws: MeshServerError.self) { _ = try await TestServer(port: server.port) }
    try await server.stop()
  }
}
