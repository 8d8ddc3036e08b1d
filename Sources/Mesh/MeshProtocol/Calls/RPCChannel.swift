/// The way to one service. The mesh's client is one; what a generated client needs and nothing more.
public protocol RPCChannel: Sendable {
  /// Makes one unary call.
  /// - Throws: `RPCError`; also for a deadline that passed (DEADLINE_EXCEEDED) and a cancelled task (CANCELLED).
  func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply
}

/// A successful answer, not yet decoded.
public struct RPCReply: Sendable, Hashable {
  public var message: [UInt8]
  public var trailers: Metadata

  public init(message: [UInt8], trailers: Metadata = [:]) {
    self.message = message
    self.trailers = trailers
  }
}

/// A service's side of one method: bytes in, bytes out. Generated code makes these from a service protocol.
public struct RPCMethod: Sendable {
  public let descriptor: MethodDescriptor
  /// Errors other than `RPCError` become UNKNOWN with a message that gives nothing away.
  public let handle: @Sendable ([UInt8], CallContext) async throws -> RPCReply

  public init(_ descriptor: MethodDescriptor, handle: @escaping @Sendable ([UInt8], CallContext) async throws -> RPCReply) {
    self.descriptor = descriptor
    self.handle = handle
  }
}

/// A handler's answer: a message, or bytes that were encoded before (a replay must be byte-identical), and trailers.
public struct RPCResponse<Message: Sendable>: Sendable {
  /// A message to encode, or one that was.
  public enum Body: Sendable {
    case message(Message)
    case encoded([UInt8])
  }

  public var body: Body
  public var trailers: Metadata

  public init(_ message: Message, trailers: Metadata = [:]) {
    body = .message(message)
    self.trailers = trailers
  }

  public init(encoded: [UInt8], trailers: Metadata = [:]) {
    body = .encoded(encoded)
    self.trailers = trailers
  }
}
