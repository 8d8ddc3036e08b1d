/// What a handler knows of the call it answers. Bound to the task, so that calls made while handling it inherit its deadline.
public struct CallContext: Sendable {
  /// Who calls, as proved by its certificate.
  public var peer: SPIFFEID
  public var method: String
  /// Nil: the caller set none.
  public var deadline: ContinuousClock.Instant?
  public var metadata: Metadata
  public var idempotencyKey: String?
  /// 1 for the first attempt.
  public var attempt: UInt32

  public init(
    peer: SPIFFEID, method: String, deadline: ContinuousClock.Instant? = nil, metadata: Metadata = [:],
    idempotencyKey: String? = nil, attempt: UInt32 = 1
  ) {
    self.peer = peer
    self.method = method
    self.deadline = deadline
    self.metadata = metadata
    self.idempotencyKey = idempotencyKey
    self.attempt = attempt
  }

  /// The call that this task works for, or nil.
  @TaskLocal public static var current: CallContext?
}

/// How a call is to be made.
public struct CallOptions: Sendable, Hashable {
  /// The call's own limit; the deadline inherited from `CallContext.current` holds too, whichever is earlier.
  public var timeout: Duration?
  public var metadata: Metadata
  public var idempotencyKey: String?
  /// True: the inherited deadline does not count (work that outlives its caller).
  public var detached: Bool
  /// True: wait for a connection until the deadline instead of failing at once with UNAVAILABLE.
  public var waitForReady: Bool

  public init(
    timeout: Duration? = nil, metadata: Metadata = [:], idempotencyKey: String? = nil, detached: Bool = false,
    waitForReady: Bool = false
  ) {
    self.timeout = timeout
    self.metadata = metadata
    self.idempotencyKey = idempotencyKey
    self.detached = detached
    self.waitForReady = waitForReady
  }
}
