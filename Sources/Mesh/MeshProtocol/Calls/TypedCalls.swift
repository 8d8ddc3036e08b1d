public import ProtobufCodec

extension RPCChannel {
  /// Makes one unary call with messages instead of bytes. Generated clients call this.
  /// - Throws: `RPCError`; INVALID_ARGUMENT if the request cannot be encoded (nothing was sent), INTERNAL if the answer cannot be decoded.
  public func unary<Request: ProtobufMessage, Response: ProtobufMessage>(
    _ method: MethodDescriptor, _ request: Request, as response: Response.Type, options: CallOptions
  ) async throws(RPCError) -> DecodedReply<Response> {
    let encoded: [UInt8]
    do { encoded = try request.serialized() } catch {
      throw RPCError(.invalidArgument, "the request to \(method.path) cannot be encoded: \(error)", origin: .runtime, executed: .no)
    }
    let reply = try await unary(method, encoded, options: options)
    do {
      return DecodedReply(message: try Response(serialized: reply.message), encoded: reply.message, trailers: reply.trailers)
    } catch {
      throw RPCError(.internal, "the answer of \(method.path) cannot be decoded: \(error)", origin: .runtime, executed: .yes)
    }
  }
}

extension RPCMethod {
  /// A method of messages instead of bytes. Generated services make these. A request that cannot be decoded is answered
  /// INVALID_ARGUMENT without the handler having seen it.
  public init<Request: ProtobufMessage, Response: ProtobufMessage>(
    _ descriptor: MethodDescriptor, answering handler: @escaping @Sendable (Request, CallContext) async throws -> RPCResponse<Response>
  ) {
    self.init(descriptor) { bytes, context in
      let request: Request
      do { request = try Request(serialized: bytes) } catch {
        throw RPCError(.invalidArgument, "the request cannot be decoded: \(error)", origin: .runtime, executed: .no)
      }
      let response = try await handler(request, context)
      switch response.body {
      case .encoded(let bytes): return RPCReply(message: bytes, trailers: response.trailers)
      case .message(let message):
        do { return RPCReply(message: try message.serialized(), trailers: response.trailers) } catch {
          throw RPCError(.internal, "the answer cannot be encoded: \(error)", origin: .runtime, executed: .yes)
        }
      }
    }
  }
}
