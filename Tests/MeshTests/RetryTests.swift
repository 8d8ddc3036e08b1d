import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import Testing

@Suite("Retries", .serialized)
struct RetryTests {
  @Test("a call that was not taken for want of room is tried again, and the handler learns which attempt it is")
  func nack() async throws {
    let gate = Gate()
    let entered = Counter()
    let attempts = Record<UInt32>()
    let server = try await TestServer(methods: [
      .test("test.Echo/Hold") { _, _ in
        entered.add()
        try await gate.wait()
        return RPCReply(message: [])
      },
      .test("test.Echo/Say") { message, context in
        attempts.append(context.attempt)
        return RPCReply(message: message)
      },
    ]) { $0.maximumHandlers = 1 }
    let log = RecordingLog()
    let channel = try server.channel {
      $0.logger = log.logger
      $0.retryBase = .milliseconds(100)
      $0.maximumAttempts = 100
    }
    async let held = channel.call("test.Echo/Hold")
    try await eventually("the handler holds the only slot") { entered.value == 1 }
    // One attempt, one budget: the answer says that nothing was executed.
    let impatient = try server.channel { $0.maximumAttempts = 1 }
    let refused = try await #require(error { try await impatient.call() })
    #expect(refused.code == .unavailable)
    #expect(refused.executed == .no)
    #expect(refused.retryAfter != nil)
    async let patient = channel.call()
    try await eventually("it was refused once") { log.contains("rpc.retrying") }
    gate.open()
    _ = try await held
    #expect(try await patient.message == [1, 2, 3])
    #expect(attempts.all.count == 1)
    #expect(attempts.all[0] >= 2)
    await impatient.shutDown()
    await channel.shutDown()
    try await server.stop()
  }

  @Test("the budget ends retries when everything fails; ten are left for all calls of a channel together")
  func budget() async throws {
    let gate = Gate()
    let entered = Counter()
    let log = RecordingLog()
    let server = try await TestServer(methods: [
      .test("test.Echo/Hold") { _, _ in
        entered.add()
        try await gate.wait()
        return RPCReply(message: [])
      },
      .echo,
    ]) { $0.maximumHandlers = 1 }
    let holder = try server.channel()
    async let held = holder.call("test.Echo/Hold")
    try await eventually("the handler holds the only slot") { entered.value == 1 }
    let channel = try server.channel {
      $0.logger = log.logger
      $0.retryBase = .milliseconds(1)
      $0.retryMaximum = .milliseconds(1)
      $0.maximumAttempts = 1000
    }
    for _ in 0..<5 { #expect(await error { try await channel.call() }?.code == .unavailable) }
    #expect(log.lines.all.filter { $0.hasPrefix("rpc.retrying") }.count == 10)
    gate.open()
    _ = try await held
    await channel.shutDown()
    await holder.shutDown()
    try await server.stop()
  }

  @Test("a call that a handler has seen is never tried again, whatever its code", arguments: [RPCCode.unavailable, .aborted, .internal])
  func executed(code: RPCCode) async throws {
    let seen = Counter()
    let server = try await TestServer(methods: [
      .test("test.Fail/Now") { _, _ in
        seen.add()
        throw RPCError(code, "no", executed: .no)
      }
    ])
    let channel = try server.channel()
    #expect(await error { try await channel.call("test.Fail/Now") }?.code == code)
    #expect(seen.value == 1)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a connection lost under a call leaves it unknown whether it was executed, and it is not tried again")
  func lost() async throws {
    let seen = Counter()
    let gate = Gate()
    let server = try await TestServer(methods: [
      .test("test.Echo/Hold") { _, _ in
        seen.add()
        try await gate.wait()
        return RPCReply(message: [])
      }
    ])
    let channel = try server.channel()
    async let result = error { try await channel.call("test.Echo/Hold") }
    try await eventually("the handler runs") { seen.value == 1 }
    await server.kill()
    let failure = try #require(await result)
    #expect(failure.code == .unavailable)
    #expect(failure.executed == .unknown)
    #expect(seen.value == 1)
    await channel.shutDown()
  }
}
