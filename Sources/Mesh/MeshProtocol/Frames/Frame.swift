/// One frame of `florin/1`, read: values that cannot hold what the protocol does not allow to be said.
///
/// The wire's layout is `WireAPI.Frame`; `FrameCodec` is the one place where the two meet. See proto/PROTOCOL.md.
package struct Frame: Sendable, Hashable {
  /// 0 is the connection itself.
  package var streamID: UInt32
  package var kind: Kind

  package init(_ streamID: UInt32, _ kind: Kind) {
    self.streamID = streamID
    self.kind = kind
  }

  /// What the frame says (PROTOCOL.md, §2).
  package enum Kind: Sendable, Hashable {
    case hello(Hello)
    case open(Open)
    case data(Chunk)
    case status(Status)
    case cancel(reason: String)
    /// Further bytes of DATA bodies that the receiver of this frame may send.
    case window(creditBytes: UInt32)
    case ping(opaque: UInt64)
    case pong(opaque: UInt64)
    case goAway(GoAway)
    case nack(Nack)
    /// A kind that this version does not know.
    case unknown(mustUnderstand: Bool)
  }

  /// What each side says first.
  package struct Hello: Sendable, Hashable {
    package var minimumVersion: UInt32
    package var maximumVersion: UInt32
    /// Bits that both sides set hold for the connection; unknown ones are ignored.
    package var features: UInt64
    /// What the sender is ready to receive. Nil: the peer left it out, which is a fault.
    package var limits: ConnectionLimits?
    package var minimumPingInterval: Duration
    package var schemaFingerprint: [UInt8]
    package var build: String
    package var trustBundleGeneration: UInt64

    package init(
      minimumVersion: UInt32 = 1, maximumVersion: UInt32 = 1, features: UInt64 = 0, limits: ConnectionLimits?,
      minimumPingInterval: Duration = .seconds(5), schemaFingerprint: [UInt8] = [], build: String = "",
      trustBundleGeneration: UInt64 = 0
    ) {
      self.minimumVersion = minimumVersion
      self.maximumVersion = maximumVersion
      self.features = features
      self.limits = limits
      self.minimumPingInterval = minimumPingInterval
      self.schemaFingerprint = schemaFingerprint
      self.build = build
      self.trustBundleGeneration = trustBundleGeneration
    }
  }

  /// Begins a stream.
  package struct Open: Sendable, Hashable {
    package var method: String
    /// Nil: the caller set no deadline.
    package var remaining: Duration?
    package var metadata: Metadata
    package var attempt: UInt32
    package var idempotencyKey: String?

    package init(
      method: String, remaining: Duration? = nil, metadata: Metadata = [:], attempt: UInt32 = 1, idempotencyKey: String? = nil
    ) {
      self.method = method
      self.remaining = remaining
      self.metadata = metadata
      self.attempt = attempt
      self.idempotencyKey = idempotencyKey
    }
  }

  /// A part of a message. A slice, so that a large message is cut into frames without being copied.
  package struct Chunk: Sendable, Hashable {
    package var body: ArraySlice<UInt8>
    package var endOfMessage: Bool
    package var endOfStream: Bool

    package init(_ body: ArraySlice<UInt8>, endOfMessage: Bool, endOfStream: Bool) {
      self.body = body
      self.endOfMessage = endOfMessage
      self.endOfStream = endOfStream
    }
  }

  /// Ends a stream that the server had accepted.
  package struct Status: Sendable, Hashable {
    package var code: RPCCode
    package var message: String
    package var details: [RPCError.Detail]
    package var trailers: Metadata
    package var origin: RPCError.Origin
    package var executed: RPCError.Executed

    package init(
      _ code: RPCCode, _ message: String = "", details: [RPCError.Detail] = [], trailers: Metadata = [:],
      origin: RPCError.Origin = .application, executed: RPCError.Executed = .yes
    ) {
      self.code = code
      self.message = message
      self.details = details
      self.trailers = trailers
      self.origin = origin
      self.executed = executed
    }

    package init(_ error: RPCError) {
      self.init(
        error.code, error.message, details: error.details, trailers: error.trailers, origin: error.origin, executed: error.executed)
    }

    /// The error that a caller gets. Meaningless if `code` is OK.
    package var error: RPCError {
      RPCError(code, message, details: details, trailers: trailers, origin: origin, executed: executed)
    }
  }

  /// The drain of a connection: an announcement, then the frame that ends it.
  package struct GoAway: Sendable, Hashable {
    package var isFinal: Bool
    /// Streams above this were never given to a handler. Meaningful if final.
    package var lastStreamID: UInt32
    package var reason: String

    package init(isFinal: Bool, lastStreamID: UInt32 = 0, reason: String) {
      self.isFinal = isFinal
      self.lastStreamID = lastStreamID
      self.reason = reason
    }
  }

  /// Ends a stream that was never given to a handler.
  package struct Nack: Sendable, Hashable {
    package var reason: String
    package var retryAfter: Duration?

    package init(_ reason: String, retryAfter: Duration? = nil) {
      self.reason = reason
      self.retryAfter = retryAfter
    }
  }
}

extension Frame {
  /// The kind's name, as PROTOCOL.md has it.
  package var kindName: String {
    switch kind {
    case .hello: "HELLO"
    case .open: "OPEN"
    case .data: "DATA"
    case .status: "STATUS"
    case .cancel: "CANCEL"
    case .window: "WINDOW"
    case .ping: "PING"
    case .pong: "PONG"
    case .goAway: "GOAWAY"
    case .nack: "NACK"
    case .unknown: "a frame of an unknown kind"
    }
  }
}
