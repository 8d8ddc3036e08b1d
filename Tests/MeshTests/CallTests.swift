import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import Testing

@Suite("Calls over a real connection", .serialized)
struct CallTests {
  @Test("a message, an empty one and one of a mebibyte come back as they were")
  func echo() async throws {
    let server = try await TestServer()
    let channel = try server.channel()
    for message in [[1, 2, 3], [], (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) }] as [[UInt8]] {
      #expect(try await channel.call("test.Echo/Say", message) == RPCReply(message: message))
    }
    #expect(server.server.connectionCount == 1)
    await channel.shutDown()
    try await server.stop()
    #expect(server.server.connectionCount == 0)
  }

  @Test("64 concurrent calls share one connection, and each gets its own answer", arguments: 1...5)
  func multiplexed(round: Int) async throws {
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { message, _ in
        for _ in 0..<Int(message[0] % 7) { await Task.yield() }
        return RPCReply(message: message)
      }
    ])
    let channel = try server.channel()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for caller in 0..<64 {
        group.addTask {
          for call in 0..<20 {
            let message = [UInt8](repeating: UInt8(caller), count: 1 + (caller * call) % 3000) + [UInt8(call)]
            guard try await channel.call("test.Echo/Say", message).message == message else { return false }
          }
          return true
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    #expect(server.server.connectionCount == 1)
    #expect(server.server.runningHandlers == 0)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("more calls than streams wait for a stream; large and small ones do not block each other")
  func waiting() async throws {
    let server = try await TestServer { $0.maximumStreamsPerConnection = 4 }
    let channel = try server.channel()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for caller in 0..<100 {
        group.addTask {
          let message = [UInt8](repeating: UInt8(caller), count: caller % 10 == 0 ? 600_000 : 10)
          return try await channel.call("test.Echo/Say", message).message == message
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    await channel.shutDown()
    try await server.stop()
  }

  @Test("metadata, idempotency key, attempt, method and caller reach the handler; trailers reach the caller")
  func context() async throws {
    let seen = Record<CallContext>()
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { _, context in
        seen.append(context)
        #expect(CallContext.current?.method == context.method)
        return RPCReply(message: [], trailers: ["replayed": "yes"])
      }
    ])
    let channel = try server.channel()
    var options = CallOptions(timeout: .seconds(30), metadata: ["request-id": "r-1"], idempotencyKey: "key-1")
    options.metadata.entries.append(.init(key: "raw-bin", value: [0, 255]))
    let reply = try await channel.call("test.Echo/Say", [], options)
    #expect(reply.trailers["replayed"] == "yes")
    let context = try #require(seen.all.first)
    #expect(context.peer == SPIFFEID(trustDomain: "florin.local", path: "payment"))
    #expect(context.method == "test.Echo/Say")
    #expect(context.metadata["request-id"] == "r-1")
    #expect(context.metadata.entries.contains(.init(key: "raw-bin", value: [0, 255])))
    #expect(context.idempotencyKey == "key-1")
    #expect(context.attempt == 1)
    let remaining = try #require(context.deadline) - .now
    #expect(remaining > .zero && remaining <= .seconds(30))
    await channel.shutDown()
    try await server.stop()
  }

  @Test("an RPCError arrives whole; any other error gives nothing away; every code keeps its meaning")
  func errors() async throws {
    struct Secret: Error { var password = "hunter2" }
    let server = try await TestServer(methods: [
      .test("test.Fail/Typed") { _, _ in
        throw RPCError(
          .failedPrecondition, "the account is frozen", details: [.init(typeURL: "florin.type.v1.Reason", value: [1, 2])],
          trailers: ["reason": "account_frozen"], executed: .no)
      },
      .test("test.Fail/Untyped") { _, _ in throw Secret() },
      .test("test.Fail/Code") { message, _ in throw RPCError(RPCCode(rawValue: UInt32(message[0])) ?? .ok, "as asked") },
    ])
    let channel = try server.channel()
    let typed = try await #require(error { try await channel.call("test.Fail/Typed") })
    #expect(typed.code == .failedPrecondition)
    #expect(typed.message == "the account is frozen")
    #expect(typed.details == [.init(typeURL: "florin.type.v1.Reason", value: [1, 2])])
    #expect(typed.trailers["reason"] == "account_frozen")
    #expect(typed.origin == .application)
    // A handler has seen it, whatever the error said that it threw.
    #expect(typed.executed == .yes)
    let untyped = try await #require(error { try await channel.call("test.Fail/Untyped") })
    #expect(untyped.code == .unknown)
    #expect(untyped.message == "internal error")
    for code in RPCCode.allCases where code != .ok {
      #expect(await error { try await channel.call("test.Fail/Code", [UInt8(code.rawValue)]) }?.code == code)
    }
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a handler that throws OK is the service's mistake, not a success without a message")
  func thrownOK() async throws {
    let server = try await TestServer(methods: [.test("test.Fail/OK") { _, _ in throw RPCError(.ok, "") }])
    let channel = try server.channel()
    #expect(await error { try await channel.call("test.Fail/OK") }?.code == .internal)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a method that the policy grants and the service lacks is UNIMPLEMENTED")
  func unimplemented() async throws {
    let server = try await TestServer(policy: try .granting(["payment"], ["test.Echo/Say", "test.Other/Thing"]))
    let channel = try server.channel()
    let error = try await #require(error { try await channel.call("test.Other/Thing") })
    #expect(error.code == .unimplemented)
    #expect(error.executed == .no)
    #expect(error.origin == .runtime)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("limits are errors of the call alone: request, answer and metadata too large")
  func limits() async throws {
    let server = try await TestServer(methods: [.echo, .test("test.Echo/Small") { message, _ in RPCReply(message: message) }]) {
      $0.maximumMessageBytes = 100_000
      $0.messageBytesByMethod = ["test.Echo/Small": 10]
      $0.maximumMetadataBytes = 1000
    }
    let channel = try server.channel { $0.maximumMessageBytes = 50_000 }
    func code(_ path: String, _ bytes: Int, _ metadata: Metadata = [:]) async -> RPCCode? {
      await error { try await channel.call(path, [UInt8](repeating: 1, count: bytes), CallOptions(metadata: metadata)) }?.code
    }
    #expect(await code("test.Echo/Say", 100_001) == .resourceExhausted)
    #expect(await code("test.Echo/Say", 50_001) == .resourceExhausted)
    #expect(await code("test.Echo/Small", 11) == .resourceExhausted)
    #expect(await code("test.Echo/Small", 90_000) == .resourceExhausted)
    #expect(await code("test.Echo/Say", 1, ["big": String(repeating: "x", count: 1000)]) == .resourceExhausted)
    #expect(await code("test.Echo/Say", 1, ["Upper": "x"]) == .invalidArgument)
    #expect(await code("test.Echo/Say", 50_000) == nil)
    #expect(server.server.connectionCount == 1)
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a server that is not there is UNAVAILABLE, never executed; waiting for it outlasts its start")
  func waitForReady() async throws {
    let placeholder = try await TestServer()
    let port = placeholder.port
    try await placeholder.stop()
    let channel = try MeshChannel.test([port]) { $0.reconnectMaximum = .milliseconds(50) }
    let failure = try await #require(error { try await channel.call() })
    #expect(failure.code == .unavailable)
    #expect(failure.executed == .no)
    #expect(failure.origin == .transport)
    async let reply = channel.call("test.Echo/Say", [5], CallOptions(waitForReady: true))
    let late = await error {
      try await channel.call("test.Echo/Say", [], CallOptions(timeout: .milliseconds(50), waitForReady: true))
    }
    #expect(late?.code == .deadlineExceeded)
    #expect(late?.executed == .no)
    let server = try await TestServer(port: port)
    #expect(try await reply.message == [5])
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a channel finds the server again after it was killed and restarted, and tries the next address")
  func reconnects() async throws {
    let first = try await TestServer()
    let port = first.port
    let dead = try await TestServer()
    let deadPort = dead.port
    try await dead.stop()
    let channel = try MeshChannel.test([deadPort, port]) { $0.reconnectMaximum = .milliseconds(50) }
    #expect(try await channel.call("test.Echo/Say", [1], CallOptions(waitForReady: true)).message == [1])
    await first.kill()
    let second = try await TestServer(port: port)
    // The first call may still go out on the connection that is dying: whether it was executed is not known then.
    try await eventually("calls are answered again") {
      do {
        return try await channel.call("test.Echo/Say", [2], CallOptions(waitForReady: true)).message == [2]
      } catch {
        #expect((error as? RPCError)?.code == .unavailable)
        return false
      }
    }
    await channel.shutDown()
    try await second.stop()
  }

  @Test("connections are replaced before their stream ids run out, and no call notices")
  func idsRunOut() async throws {
    let server = try await TestServer()
    let channel = try server.channel { $0.lastUsableStreamID = 21 }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for caller in 0..<8 {
        group.addTask {
          for _ in 0..<50 where try await channel.call("test.Echo/Say", [UInt8(caller)]).message != [UInt8(caller)] { return false }
          return true
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a channel that was shut down says so")
  func shutDown() async throws {
    let server = try await TestServer()
    let channel = try server.channel()
    _ = try await channel.call()
    await channel.shutDown()
    let error = try await #require(error { try await channel.call() })
    #expect(error.code == .unavailable)
    #expect(error.executed == .no)
    await channel.shutDown()
    try await server.stop()
  }
}

/// The RPCError that the call ends with, or nil if it succeeds.
func error(_ call: () async throws -> RPCReply) async -> RPCError? {
  do {
    _ = try await call()
    return nil
  } catch {
    return error as? RPCError
  }
}
