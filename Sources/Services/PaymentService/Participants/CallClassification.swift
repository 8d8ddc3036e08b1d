internal import MeshProtocol
internal import SagaEngine

extension SagaOutcome {
  /// What a failed call means for its step. Business refusals are replies, never errors: whatever fails here is the network, the
  /// participant's health, or a fault of ours.
  init(_ error: RPCError) {
    let detail = "\(error.code.name): \(error.message)"
    switch error.code {
    // The participant read the request and finds fault with it: it will do so tomorrow.
    case .invalidArgument, .outOfRange, .failedPrecondition, .notFound, .alreadyExists, .unimplemented, .dataLoss:
      self = .bug(detail: detail)
    // Everything else can heal: a restart, a policy not yet distributed, a certificate being rotated. Whether the step took effect
    // is what `executed` says, and only its "no" is certain.
    case .ok, .cancelled, .unknown, .deadlineExceeded, .permissionDenied, .resourceExhausted, .aborted, .internal, .unavailable,
      .unauthenticated:
      self = error.executed == .no ? .transient(detail: detail) : .ambiguous(detail: detail)
    }
  }
}

extension SagaFinding {
  /// A question without an answer: asked again later, whatever the reason.
  init(_ error: RPCError) { self = .unanswered(detail: "\(error.code.name): \(error.message)") }
}

/// How calls for a saga are made: with a limit of their own, whoever waits for the payment.
enum SagaCall {
  /// Well below the lease, so that a process that is still waiting for an answer still owns the saga.
  static let timeout = Duration.seconds(4)

  static let options = CallOptions(timeout: timeout, detached: true)
}
