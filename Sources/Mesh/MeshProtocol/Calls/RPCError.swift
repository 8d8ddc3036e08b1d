/// The 17 status codes of gRPC (https://grpc.io/docs/guides/status-codes/), with the same numbers and meanings.
public enum RPCCode: UInt32, Sendable, Hashable, CaseIterable {
  case ok = 0
  case cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
  case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable, dataLoss
  case unauthenticated

  /// "INVALID_ARGUMENT": the name in gRPC's documentation.
  public var name: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internal: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }
}

/// Why a call failed. Thrown by clients; thrown by handlers to answer with a status.
public struct RPCError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Who said so.
  public enum Origin: Sendable, Hashable { case transport, runtime, application }
  /// Whether a handler saw the call. Only `.no` is safe to retry without an idempotency key.
  public enum Executed: Sendable, Hashable { case no, unknown, yes }
  /// A typed detail (google.rpc.Status details, in gRPC's words).
  public struct Detail: Sendable, Hashable {
    public var typeURL: String
    public var value: [UInt8]

    public init(typeURL: String, value: [UInt8]) {
      self.typeURL = typeURL
      self.value = value
    }
  }

  public var code: RPCCode
  /// For people: what is wrong, and what to do. No personal data, no secrets.
  public var message: String
  public var details: [Detail]
  public var trailers: Metadata
  public var origin: Origin
  public var executed: Executed
  /// Set on NACK: when it is worth trying again.
  public var retryAfter: Duration?

  public init(
    _ code: RPCCode, _ message: String, details: [Detail] = [], trailers: Metadata = [:], origin: Origin = .application,
    executed: Executed = .yes, retryAfter: Duration? = nil
  ) {
    self.code = code
    self.message = message
    self.details = details
    self.trailers = trailers
    self.origin = origin
    self.executed = executed
    self.retryAfter = retryAfter
  }

  public var description: String { "\(code.name): \(message)" }
}
