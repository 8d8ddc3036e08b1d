public import MeshProtocol
public import Postgres

extension RPCError {
  /// A handler's answer that names its reason for machines too: the trailer "reason" beside the message for people.
  /// - Parameter reason: snake_case and stable: "account_unknown".
  public static func refusal(_ code: RPCCode, _ reason: String, _ message: String) -> RPCError {
    RPCError(code, message, trailers: ["reason": reason])
  }

  /// The reason that a service gave with its refusal, or nil.
  public var reason: String? { trailers["reason"] }

  /// What a caller is told when the database failed. Says nothing of the database: that belongs into the service's log.
  public init(_ error: PostgresError) {
    let (code, message): (RPCCode, String)
    switch error.code {
    case .timedOut: (code, message) = (.deadlineExceeded, "the time for the call ran out in the database: try again with more")
    case .cancelled: (code, message) = (.cancelled, "the call was cancelled")
    case .commitUnknown, .connectionLost:
      (code, message) = (.unavailable, "the connection to the service's database broke: send the same call again")
    case _ where error.isUnavailable: (code, message) = (.unavailable, "the service's database cannot be reached: try again")
    case _ where error.isRetryableTransaction:
      (code, message) = (.aborted, "other calls changed the same rows at the same time: try again")
    default: (code, message) = (.internal, "the service's database refused a statement; its log has the details")
    }
    self.init(code, message, executed: .unknown)
  }
}
