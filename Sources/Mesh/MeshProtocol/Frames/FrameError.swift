/// Bytes that are no frame. The connection cannot go on after one: there is no telling where the next frame begins.
package enum FrameError: Error, Sendable, Hashable, CustomStringConvertible {
  case emptyFrame
  case frameTooLarge(bytes: Int, limit: Int)
  case malformed(String)

  /// The metric's label: few and stable.
  package var label: String {
    switch self {
    case .emptyFrame: "empty_frame"
    case .frameTooLarge: "frame_too_large"
    case .malformed: "malformed_frame"
    }
  }

  package var description: String {
    switch self {
    case .emptyFrame: "a frame of length 0; every frame holds at least one byte"
    case .frameTooLarge(let bytes, let limit): "a frame of \(bytes) bytes, over this side's limit of \(limit)"
    case .malformed(let why): "a frame that is no florin.wire.v1.Frame: \(why)"
    }
  }
}
