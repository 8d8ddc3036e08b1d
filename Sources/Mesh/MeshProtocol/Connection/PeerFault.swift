/// What the *peer* did that the protocol forbids. It ends the connection: what such a peer says next cannot be relied on.
///
/// Three things are kept apart: the peer's fault (this), a frame that is dropped for a good reason (`LegitimateDrop`) and a mistake
/// of this program (`ConnectionEffect.misused`).
package struct PeerFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// The words of PROTOCOL.md, §12, which are also a metric's labels.
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    case emptyFrame = "empty_frame"
    case frameTooLarge = "frame_too_large"
    case malformedFrame = "malformed_frame"
    case frameBeforeHello = "frame_before_hello"
    case secondHello = "second_hello"
    case noCommonVersion = "no_common_version"
    case unusableLimits = "unusable_limits"
    case unknownFrame = "unknown_frame"
    case wrongStream = "wrong_stream"
    case wrongDirection = "wrong_direction"
    case streamIDNotOdd = "stream_id_not_odd"
    case streamIDReused = "stream_id_reused"
    case streamNeverOpened = "stream_never_opened"
    case streamClosed = "stream_closed"
    case tooManyPings = "too_many_pings"
    case unaskedPong = "unasked_pong"
    case tooManyResets = "too_many_resets"
    case tooManyEmptyFrames = "too_many_empty_frames"
    case zeroCredit = "zero_credit"
    case goAwayWentBack = "go_away_went_back"
  }

  package var kind: Kind
  /// For people. Holds nothing that the peer could use to write into a log what it likes.
  package var detail: String

  package init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }

  package init(_ error: FrameError) {
    switch error {
    case .emptyFrame: kind = .emptyFrame
    case .frameTooLarge: kind = .frameTooLarge
    case .malformed: kind = .malformedFrame
    }
    detail = error.description
  }

  package var description: String { "\(kind.rawValue): \(detail)" }
}

/// A frame that is dropped without blame: it crossed another one on the way, or may be skipped.
package enum LegitimateDrop: String, Sendable, Hashable, CaseIterable {
  /// The peer had not yet seen that this side ended the stream.
  case streamEndedMeanwhile = "stream_ended_meanwhile"
  /// Of a call that this side no longer waits for.
  case callAbandoned = "call_abandoned"
  /// A frame of an unknown kind whose must-understand bit is not set.
  case unknownFrameSkipped = "unknown_frame_skipped"
  /// Credit, while flow control is not in force on this connection.
  case creditNotInForce = "credit_not_in_force"
}
