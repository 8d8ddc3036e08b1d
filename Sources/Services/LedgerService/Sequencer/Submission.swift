internal import LedgerRules
internal import MeshProtocol
internal import Synchronization
internal import Telemetry

/// One caller's request on its way through the sequencer. Its work runs to its end; the caller may stop waiting at any time.
final class Submission: Sendable {
  private enum State {
    case pending
    case awaited(CheckedContinuation<Result<[Decision], RPCError>, Never>)
    case answered(Result<[Decision], RPCError>)
    case abandoned
  }

  let request: LedgerRequest
  /// The caller's, for the audit and outbox rows.
  let trace: TraceIdentity?
  private let state = Mutex(State.pending)

  init(_ request: LedgerRequest, trace: TraceIdentity?) {
    self.request = request
    self.trace = trace
  }

  /// Waits for the answer.
  /// - Throws: also CANCELLED if the caller's task is cancelled first; the request is decided all the same.
  func value() async throws(RPCError) -> [Decision] {
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let early: Result<[Decision], RPCError>? = state.withLock { state in
          switch state {
          case .answered(let outcome): return outcome
          case .abandoned: return .failure(Self.abandonment)
          case .pending, .awaited:
            state = .awaited(continuation)
            return nil
          }
        }
        if let early { continuation.resume(returning: early) }
      }
    } onCancel: {
      resume(.failure(Self.abandonment), leaving: .abandoned)
    }
    return try outcome.get()
  }

  func answer(_ outcome: Result<[Decision], RPCError>) { resume(outcome, leaving: .answered(outcome)) }

  private func resume(_ outcome: Result<[Decision], RPCError>, leaving next: State) {
    let waiter: CheckedContinuation<Result<[Decision], RPCError>, Never>? = state.withLock { state in
      switch state {
      case .pending:
        state = next
        return nil
      case .awaited(let continuation):
        state = next
        return continuation
      case .answered, .abandoned: return nil
      }
    }
    waiter?.resume(returning: outcome)
  }

  private static let abandonment = RPCError(
    .cancelled, "the caller stopped waiting; the posting is decided all the same: ask for it by its id", executed: .unknown)
}
