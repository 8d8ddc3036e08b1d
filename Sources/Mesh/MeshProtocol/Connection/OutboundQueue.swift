internal import DequeModule

/// What waits to be written: short frames in order, and messages cut into frames, one frame of each in turn, so that a long message
/// does not make the others wait.
struct OutboundQueue: Sendable {
  private struct Message {
    var body: [UInt8]
    var sent = 0
    var trailer: Frame.Status?
  }

  private var frames: Deque<Frame> = []
  /// Streams with a message to send, in the order of their turns.
  private var turns: Deque<UInt32> = []
  private var messages: [UInt32: Message] = [:]

  var isEmpty: Bool { frames.isEmpty && messages.isEmpty }
  /// Short frames only: messages are bounded by the number of streams.
  var frameCount: Int { frames.count }

  mutating func append(_ frame: Frame) { frames.append(frame) }

  /// Queues a whole message as the stream's last; the status, if any, follows it.
  mutating func append(_ body: [UInt8], on stream: UInt32, thenStatus trailer: Frame.Status? = nil) {
    messages[stream] = Message(body: body, trailer: trailer)
    turns.append(stream)
  }

  /// Forgets what was not yet sent of the stream's message.
  /// - Returns: whether there was anything.
  @discardableResult
  mutating func discardMessage(of stream: UInt32) -> Bool { messages.removeValue(forKey: stream) != nil }

  /// Forgets the stream's OPEN if it was not yet sent.
  mutating func discardOpen(of stream: UInt32) {
    frames.removeAll { frame in
      guard frame.streamID == stream, case .open = frame.kind else { return false }
      return true
    }
  }

  /// A HELLO that was not yet written stays: it must be the first frame, whatever follows.
  mutating func removeAllButHello() {
    frames.removeAll { if case .hello = $0.kind { false } else { true } }
    turns = []
    messages = [:]
  }

  mutating func removeAll() {
    frames = []
    turns = []
    messages = [:]
  }

  /// - Parameter chunkBytes: the most that the peer takes in the body of one DATA.
  mutating func next(chunkBytes: Int) -> Frame? {
    if let frame = frames.popFirst() { return frame }
    while let stream = turns.popFirst() {
      guard var message = messages.removeValue(forKey: stream) else { continue }  // discarded
      let rest = message.body.count - message.sent
      let size = min(chunkBytes, rest)
      let chunk = message.body[message.sent..<message.sent + size]
      let isLast = size == rest
      if !isLast {
        message.sent += size
        messages[stream] = message
        turns.append(stream)
      } else if let trailer = message.trailer {
        // The status goes out right behind the message's last frame.
        frames.append(Frame(stream, .status(trailer)))
      }
      return Frame(stream, .data(.init(chunk, endOfMessage: isLast, endOfStream: isLast)))
    }
    return nil
  }
}
