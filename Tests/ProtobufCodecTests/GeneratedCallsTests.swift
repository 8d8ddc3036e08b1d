import MeshProtocol
import ProtobufCodec
import Testing

/// Hands calls straight to a service's methods, in place of the mesh between a generated client and a generated service.
private struct DirectChannel: RPCChannel {
  var methods: [RPCMethod]
  /// Put in place of the answer's bytes.
  var reply: [UInt8]?

  func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply {
    guard let target = methods.first(where: { $0.descriptor.path == method.path }) else { throw RPCError(.unimplemented, method.path) }
    let context = CallContext(
      peer: SPIFFEID(trustDomain: "florin.local", path: "test"), method: method.path, metadata: options.metadata,
      idempotencyKey: options.idempotencyKey)
    do {
      let answer = try await target.handle(request, context)
      return RPCReply(message: reply ?? answer.message, trailers: answer.trailers)
    } catch let error as RPCError { throw error } catch { throw RPCError(.unknown, "\(error)") }
  }
}

private struct Echo: TestAPI.EchoService {
  func same(_ request: TestAPI.Scalars, context: CallContext) async throws -> RPCResponse<TestAPI.Scalars> {
    if request.stringValue == "unencodable" { return RPCResponse(TestAPI.Scalars(stringValue: "\0")) }
    return RPCResponse(request, trailers: ["key": context.idempotencyKey ?? "none"])
  }

  func count(_ request: TestAPI.Repeateds, context: CallContext) async throws -> RPCResponse<TestAPI.Scalars> {
    // Answers with bytes that were encoded before, in an order that the encoder would not choose.
    RPCResponse(encoded: [0x20, UInt8(request.int64Values.count), 0x18, UInt8(request.int32Values.count)])
  }

  func fail(_ request: TestAPI.Empty, context: CallContext) async throws -> RPCResponse<TestAPI.Empty> {
    throw RPCError(.failedPrecondition, "always")
  }
}

@Suite struct GeneratedCallsTests {
  private let client = TestAPI.EchoClient(DirectChannel(methods: Echo().methods))

  @Test("methods are described as the schema says")
  func descriptors() {
    #expect(TestAPI.EchoMethods.same == MethodDescriptor(path: "florin.test.v1.Echo/Same", idempotency: .noSideEffects))
    #expect(TestAPI.EchoMethods.count.idempotency == .idempotent)
    #expect(TestAPI.EchoMethods.fail.idempotency == .unknown)
    #expect(TestAPI.EchoMethods.all.map(\.path) == Echo().methods.map(\.descriptor.path))
  }

  @Test("a call carries its message there and back, with options and trailers")
  func call() async throws {
    let message = TestAPI.Scalars(int32Value: 5, stringValue: "x")
    #expect(try await client.same(message) == message)
    let reply = try await client.sameReply(message, options: CallOptions(idempotencyKey: "k"))
    #expect(reply.message == message)
    #expect(reply.encoded == (try message.serialized()))
    #expect(reply.trailers["key"] == "k")
  }

  @Test("bytes that a handler encoded before are answered unchanged")
  func encodedAnswer() async throws {
    let reply = try await client.countReply(TestAPI.Repeateds(int32Values: [1, 2], int64Values: [3]))
    #expect(reply.encoded == [0x20, 1, 0x18, 2])
    #expect(reply.message == TestAPI.Scalars(int32Value: 2, int64Value: 1))
  }

  @Test("a handler's error reaches the caller")
  func handlerError() async {
    await #expect(throws: RPCError(.failedPrecondition, "always")) { try await client.fail(TestAPI.Empty()) }
  }

  @Test("a request that is no message is INVALID_ARGUMENT and never reaches the handler")
  func undecodableRequest() async throws {
    let method = try #require(Echo().methods.first)
    let error = await #expect(throws: RPCError.self) {
      _ = try await method.handle([0x72, 5], CallContext(peer: SPIFFEID(trustDomain: "florin.local", path: "test"), method: "x"))
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.origin == .runtime)
    #expect(error?.executed == .no)
  }

  @Test("a request that cannot be encoded is not sent")
  func unencodableRequest() async {
    let error = await #expect(throws: RPCError.self) { try await client.same(TestAPI.Scalars(stringValue: "a\0")) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.executed == .no)
  }

  @Test("an answer that cannot be encoded or decoded is INTERNAL")
  func badAnswer() async {
    let unencodable = await #expect(throws: RPCError.self) { try await client.same(TestAPI.Scalars(stringValue: "unencodable")) }
    #expect(unencodable?.code == .internal)
    let garbled = TestAPI.EchoClient(DirectChannel(methods: Echo().methods, reply: [0x72, 9]))
    let undecodable = await #expect(throws: RPCError.self) { try await garbled.same(TestAPI.Scalars()) }
    #expect(undecodable?.code == .internal)
    #expect(undecodable?.executed == .yes)
  }
}
