@testable import MeshProtocol

/// A client machine, the clock it is given, and everything it wanted.
final class ClientTranscript {
  var machine: ClientConnectionStateMachine
  var now: ContinuousClock.Instant

  init(_ change: (inout ConnectionConfiguration) -> Void = { _ in }) {
    var configuration = ConnectionConfiguration()
    change(&configuration)
    machine = ClientConnectionStateMachine(configuration)
    now = .now
  }

  /// A transcript that has got past HELLO.
  static func ready(
    peer: ConnectionLimits = ConnectionLimits(), _ change: (inout ConnectionConfiguration) -> Void = { _ in }
  ) -> ClientTranscript {
    let transcript = ClientTranscript(change)
    _ = transcript.machine.connectionOpened(at: transcript.now)
    _ = transcript.receives(Frame(0, .hello(.init(limits: peer))))
    _ = transcript.sent()
    return transcript
  }

  typealias Effect = ConnectionEffect<ClientConnectionStateMachine.Event>

  func receives(_ frame: Frame) -> [Effect] { machine.frameReceived(frame, at: now) }

  func calls(_ message: [UInt8] = [1], timeout: Duration? = nil, metadata: Metadata = [:]) -> (Result<UInt32, RPCError>, [Effect]) {
    let (opened, effects) = machine.callRequested(
      .init(method: "test.Echo/Say", message: message, deadline: timeout.map { now + $0 }, metadata: metadata), at: now)
    return (opened, effects)
  }

  /// A call that gets as far as the wire.
  func sends(_ message: [UInt8] = [1], timeout: Duration? = nil) -> UInt32 {
    let (opened, _) = calls(message, timeout: timeout)
    _ = sent()
    return (try? opened.get()) ?? 0
  }

  func answered(_ id: UInt32, _ body: [UInt8]) -> [Effect] {
    receives(Frame(id, .data(.init(body[...], endOfMessage: true, endOfStream: true)))) + receives(Frame(id, .status(.init(.ok))))
  }

  func passes(_ time: Duration) -> [Effect] {
    now += time
    return machine.timePassed(at: now)
  }

  func sent() -> [Frame] {
    var frames: [Frame] = []
    while let frame = machine.nextFrame(at: now) { frames.append(frame) }
    return frames
  }
}

extension [ConnectionEffect<ClientConnectionStateMachine.Event>] {
  var closed: CloseCause? {
    for case .close(let cause) in self { return cause }
    return nil
  }
  var fault: PeerFault.Kind? {
    if case .peerFault(let fault)? = closed { return fault.kind }
    return nil
  }
  var completed: [UInt32: Result<RPCReply, RPCError>] {
    var results: [UInt32: Result<RPCReply, RPCError>] = [:]
    for case .event(.completed(let id, let result)) in self { results[id] = result }
    return results
  }
  func error(_ id: UInt32) -> RPCError? {
    if case .failure(let error)? = completed[id] { return error }
    return nil
  }
  var isRetired: Bool { contains { if case .event(.retired) = $0 { true } else { false } } }
}
