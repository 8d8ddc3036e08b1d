internal import FlorinAPI
internal import SagaEngine

/// The answer of account and notification to a step, to a question about it, and to a tombstone: a state and a reason.
struct StepReply {
  let state: TypeAPI.StepState
  let reason: String

  var outcome: SagaOutcome {
    switch state {
    case .done: .done
    case .declined: .declined(reason: reason.isEmpty ? "declined" : reason)
    case .tombstone: .declined(reason: "tombstone")
    case .unspecified, .unknown, .unrecognized: .bug(detail: "the participant answered \(state), which is no answer to a step")
    }
  }

  var finding: SagaFinding {
    switch state {
    case .done: .done
    case .declined: .declined(reason: reason.isEmpty ? "declined" : reason)
    case .tombstone: .forbidden
    case .unknown: .unknown
    case .unspecified, .unrecognized: .unanswered(detail: "the participant answered \(state)")
    }
  }

  /// To a tombstone "unknown" is no answer: it was asked to make sure, and has not.
  var tombstoneFinding: SagaFinding {
    state == .unknown ? .unanswered(detail: "the participant took no tombstone") : finding
  }
}
