@testable import MeshProtocol

/// A server machine, the clock it is given, and everything it wanted. Tests read as a transcript: what happened, what followed.
final class ServerTranscript {
  var machine: ServerConnectionStateMachine
  var now: ContinuousClock.Instant
  let start: ContinuousClock.Instant

  init(
    _ change: (inout ConnectionConfiguration) -> Void = { _ in },
    admit: @escaping @Sendable (Frame.Open) -> ServerConnectionStateMachine.Admission = { _ in .accepted(messageBytes: 1 << 20) }
  ) {
    var configuration = ConnectionConfiguration()
    change(&configuration)
    machine = ServerConnectionStateMachine(configuration, admit: admit)
    now = .now
    start = now
  }

  /// A transcript that has got past HELLO.
  static func ready(
    peer: ConnectionLimits = ConnectionLimits(), _ change: (inout ConnectionConfiguration) -> Void = { _ in },
    admit: @escaping @Sendable (Frame.Open) -> ServerConnectionStateMachine.Admission = { _ in .accepted(messageBytes: 1 << 20) }
  ) -> ServerTranscript {
    let transcript = ServerTranscript(change, admit: admit)
    _ = transcript.machine.connectionOpened(at: transcript.now)
    _ = transcript.receives(Frame(0, .hello(.init(limits: peer))))
    _ = transcript.sent()
    return transcript
  }

  typealias Effect = ConnectionEffect<ServerConnectionStateMachine.Event>

  func receives(_ frame: Frame) -> [Effect] { machine.frameReceived(frame, at: now) }

  func opens(_ id: UInt32, _ method: String = "test.Echo/Say", remaining: Duration? = nil, metadata: Metadata = [:]) -> [Effect] {
    receives(Frame(id, .open(.init(method: method, remaining: remaining, metadata: metadata))))
  }

  func says(_ id: UInt32, _ body: [UInt8], endOfMessage: Bool = true, endOfStream: Bool = true) -> [Effect] {
    receives(Frame(id, .data(.init(body[...], endOfMessage: endOfMessage, endOfStream: endOfStream))))
  }

  /// A whole call: its handler starts.
  func calls(_ id: UInt32, _ body: [UInt8] = [1], remaining: Duration? = nil) -> [Effect] {
    opens(id, remaining: remaining) + says(id, body)
  }

  func returns(_ id: UInt32, _ body: [UInt8]) -> [Effect] {
    machine.handlerReturned(id, .success(RPCReply(message: body)), at: now)
  }

  func passes(_ time: Duration) -> [Effect] {
    now += time
    return machine.timePassed(at: now)
  }

  /// Everything that is to be written now.
  func sent() -> [Frame] {
    var frames: [Frame] = []
    while let frame = machine.nextFrame(at: now) { frames.append(frame) }
    return frames
  }
}

extension [ConnectionEffect<ServerConnectionStateMachine.Event>] {
  var closed: CloseCause? {
    for case .close(let cause) in self { return cause }
    return nil
  }
  var fault: PeerFault.Kind? {
    if case .peerFault(let fault)? = closed { return fault.kind }
    return nil
  }
  var started: [UInt32] {
    compactMap { if case .event(.startHandler(let call)) = $0 { call.streamID } else { nil } }
  }
  var cancelled: [UInt32] {
    compactMap { if case .event(.cancelHandler(let id, _)) = $0 { id } else { nil } }
  }
}

extension [Frame] {
  func status(_ id: UInt32) -> Frame.Status? {
    for frame in self where frame.streamID == id { if case .status(let status) = frame.kind { return status } }
    return nil
  }
  func nack(_ id: UInt32) -> Frame.Nack? {
    for frame in self where frame.streamID == id { if case .nack(let nack) = frame.kind { return nack } }
    return nil
  }
  func body(_ id: UInt32) -> [UInt8] {
    flatMap { (frame: Frame) -> [UInt8] in
      if frame.streamID == id, case .data(let chunk) = frame.kind { return [UInt8](chunk.body) }
      return []
    }
  }
  var goAways: [Frame.GoAway] {
    compactMap { if case .goAway(let goAway) = $0.kind { goAway } else { nil } }
  }
  var pings: [UInt64] {
    compactMap { if case .ping(let opaque) = $0.kind { opaque } else { nil } }
  }
  var kinds: [String] { map(\.kindName) }
}
