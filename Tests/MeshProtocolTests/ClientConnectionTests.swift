import Testing

@testable import MeshProtocol

@Suite("The client's connection machine")
struct ClientConnectionTests {
  @Test("a call is an OPEN with what remains of its deadline and its message; the answer completes it")
  func unary() {
    let t = ClientTranscript()
    _ = t.machine.connectionOpened(at: t.now)
    #expect(t.sent().kinds == ["HELLO"])
    #expect(!t.machine.isReady)
    let hello = Frame.Hello(limits: ConnectionLimits(concurrentStreams: 2))
    #expect(t.receives(Frame(0, .hello(hello))) == [.event(.becameReady(hello))])
    #expect(t.machine.freeSlots == 2)
    let (opened, effects) = t.machine.callRequested(
      .init(method: "m", message: [1, 2], deadline: t.now + .seconds(2), metadata: ["a": "b"], attempt: 3, idempotencyKey: "k"), at: t.now)
    #expect((try? opened.get()) == 1)
    #expect(effects == [])
    t.now += .milliseconds(500)
    #expect(
      t.sent() == [
        Frame(1, .open(.init(method: "m", remaining: .milliseconds(1500), metadata: ["a": "b"], attempt: 3, idempotencyKey: "k"))),
        Frame(1, .data(.init([1, 2], endOfMessage: true, endOfStream: true))),
      ])
    #expect(t.machine.freeSlots == 1)
    #expect(t.receives(Frame(1, .data(.init([5], endOfMessage: false, endOfStream: false)))) == [])
    #expect(t.receives(Frame(1, .data(.init([6], endOfMessage: true, endOfStream: true)))) == [])
    #expect(
      t.receives(Frame(1, .status(.init(.ok, trailers: ["t": "u"]))))
        == [.event(.completed(streamID: 1, .success(RPCReply(message: [5, 6], trailers: ["t": "u"]))))])
    #expect(t.machine.freeSlots == 2)
    #expect(t.sends() == 3)
  }

  @Test("a status is the error it says; OK without a message is the server's mistake")
  func statuses() {
    let t = ClientTranscript.ready()
    let first = t.sends()
    let error = RPCError(.notFound, "gone", details: [.init(typeURL: "x", value: [1])], trailers: ["a": "b"])
    #expect(t.receives(Frame(first, .status(.init(error)))).error(first) == error)
    let second = t.sends()
    #expect(t.receives(Frame(second, .status(.init(.ok)))).error(second)?.code == .internal)
  }

  @Test("a NACK is UNAVAILABLE, never executed, with the hint")
  func nack() {
    let t = ClientTranscript.ready()
    let id = t.sends()
    let error = t.receives(Frame(id, .nack(.init("full", retryAfter: .milliseconds(7))))).error(id)
    #expect(error?.code == .unavailable)
    #expect(error?.executed == .no)
    #expect(error?.retryAfter == .milliseconds(7))
  }

  @Test("what cannot be sent is refused here: too large, metadata over the limit or malformed, NUL in a name, no slot")
  func refusals() {
    let t = ClientTranscript.ready(peer: ConnectionLimits(messageBytes: 10, concurrentStreams: 1, metadataBytes: 100))
    func code(_ result: (Result<UInt32, RPCError>, [ClientTranscript.Effect])) -> RPCCode? {
      guard case .failure(let error) = result.0 else { return nil }
      #expect(error.executed == .no)
      return error.code
    }
    #expect(code(t.calls([UInt8](repeating: 1, count: 11))) == .resourceExhausted)
    #expect(code(t.calls(metadata: Metadata(entries: [.init(key: "k", value: [UInt8](repeating: 65, count: 68))]))) == .resourceExhausted)
    #expect(code(t.calls(metadata: ["Key": "v"])) == .invalidArgument)
    let (named, _) = t.machine.callRequested(.init(method: "m", message: [], idempotencyKey: "a\0b"), at: t.now)
    #expect(throws: RPCError.self) { try named.get() }
    #expect(t.sent() == [])
    #expect(t.sends() == 1)
    #expect(code(t.calls()) == .unavailable)
  }

  @Test("a deadline that passes answers the caller; the slot waits for the server, which knows the deadline too")
  func deadline() {
    let t = ClientTranscript.ready(peer: ConnectionLimits(concurrentStreams: 1))
    let id = t.sends(timeout: .seconds(1))
    #expect(t.machine.wakeUp == t.now + .seconds(1))
    let error = t.passes(.seconds(1)).error(id)
    #expect(error?.code == .deadlineExceeded)
    #expect(error?.executed == .unknown)
    #expect(t.sent() == [])
    #expect(t.machine.freeSlots == 0)
    #expect(t.receives(Frame(id, .data(.init([1], endOfMessage: true, endOfStream: true)))) == [.dropped(.callAbandoned)])
    #expect(t.receives(Frame(id, .status(.init(.deadlineExceeded)))) == [.event(.slotFreed)])
    #expect(t.machine.freeSlots == 1)
  }

  @Test("a deadline that passes before the call was sent leaves no trace on the wire")
  func deadlineBeforeSending() {
    let t = ClientTranscript.ready()
    _ = t.calls(timeout: .seconds(1))
    #expect(t.passes(.seconds(1)).error(1)?.executed == .no)
    #expect(t.sent() == [])
    #expect(t.machine.takenSlots == 0)
    #expect(t.sends() == 3)
  }

  @Test("a deadline that passes in the middle of a message tells the server")
  func deadlineWhileSending() {
    let t = ClientTranscript.ready(peer: ConnectionLimits(frameBytes: 8192, metadataBytes: 1024))
    _ = t.calls([UInt8](repeating: 1, count: 100_000), timeout: .seconds(1))
    #expect(t.machine.nextFrame(at: t.now)?.kindName == "OPEN")
    #expect(t.machine.nextFrame(at: t.now)?.kindName == "DATA")
    #expect(t.passes(.seconds(1)).error(1)?.executed == .unknown)
    #expect(t.sent().kinds == ["CANCEL"])
  }

  @Test("cancelling sends CANCEL once, answers the caller, and keeps the slot until the server has ended the stream")
  func cancel() {
    let t = ClientTranscript.ready()
    let id = t.sends()
    let error = t.machine.callCancelled(id).error(id)
    #expect(error?.code == .cancelled)
    #expect(error?.executed == .unknown)
    #expect(t.machine.callCancelled(id) == [])
    #expect(t.sent() == [Frame(id, .cancel(reason: "cancelled by the caller"))])
    #expect(t.machine.takenSlots == 1)
    #expect(t.receives(Frame(id, .status(.init(.cancelled)))) == [.event(.slotFreed)])
    #expect(t.machine.takenSlots == 0)
    let (opened, _) = t.calls()
    let unsent = (try? opened.get()) ?? 0
    #expect(t.machine.callCancelled(unsent).error(unsent)?.executed == .no)
    #expect(t.sent() == [])
  }

  @Test("an answer over this side's limit is given up, and the rest of it dropped")
  func answerTooLarge() {
    let t = ClientTranscript.ready { $0.limits.messageBytes = 5 }
    let id = t.sends()
    #expect(t.receives(Frame(id, .data(.init([1, 2, 3], endOfMessage: false, endOfStream: false)))) == [])
    #expect(
      t.receives(Frame(id, .data(.init([4, 5, 6], endOfMessage: false, endOfStream: false)))).error(id)?.code == .resourceExhausted)
    #expect(t.sent().kinds == ["CANCEL"])
    #expect(t.receives(Frame(id, .data(.init([7], endOfMessage: true, endOfStream: true)))) == [.dropped(.callAbandoned)])
    #expect(t.receives(Frame(id, .status(.init(.ok)))) == [.event(.slotFreed)])
  }

  @Test("an announced GOAWAY retires the connection; calls under way go on, and it closes after the last")
  func goAwayAnnounced() {
    let t = ClientTranscript.ready()
    let first = t.sends()
    let second = t.sends()
    #expect(t.receives(Frame(0, .goAway(.init(isFinal: false, reason: "deploy")))) == [.event(.retired(reason: "deploy"))])
    #expect(t.machine.freeSlots == 0)
    #expect(t.receives(Frame(0, .goAway(.init(isFinal: true, lastStreamID: second, reason: "deploy")))) == [])
    #expect(t.answered(first, [1]).completed[first] == .success(RPCReply(message: [1])))
    let effects = t.answered(second, [2])
    #expect(effects.completed[second] == .success(RPCReply(message: [2])))
    #expect(effects.closed == .drained)
  }

  @Test("calls above the last served stream were not executed; the server's later NACK for them is no surprise")
  func goAwayFinal() {
    let t = ClientTranscript.ready()
    let first = t.sends()
    let second = t.sends()
    let effects = t.receives(Frame(0, .goAway(.init(isFinal: true, lastStreamID: first, reason: "deploy"))))
    #expect(effects.isRetired)
    #expect(effects.error(second)?.code == .unavailable)
    #expect(effects.error(second)?.executed == .no)
    #expect(effects.completed[first] == nil)
    #expect(t.receives(Frame(second, .nack(.init("draining")))) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.receives(Frame(0, .goAway(.init(isFinal: true, lastStreamID: second, reason: "")))).fault == .goAwayWentBack)
  }

  @Test("a lost connection leaves it unknown whether sent calls were executed, and certain that unsent ones were not")
  func lost() {
    let t = ClientTranscript.ready()
    let sent = t.sends()
    let (opened, _) = t.calls()
    let unsent = (try? opened.get()) ?? 0
    let effects = t.machine.connectionLost("reset by peer")
    #expect(effects.error(sent)?.executed == .unknown)
    #expect(effects.error(unsent)?.executed == .no)
    #expect(effects.isRetired)
    #expect(t.sent() == [])
  }

  @Test("a connection is replaced before its ids run out")
  func idsRunOut() {
    let t = ClientTranscript.ready { $0.lastUsableStreamID = 5 }
    #expect(!t.calls().1.isRetired)
    #expect(!t.calls().1.isRetired)
    let (opened, effects) = t.calls()
    #expect((try? opened.get()) == 5)
    #expect(effects.isRetired)
    #expect(t.machine.freeSlots == 0)
    #expect(t.sent().kinds == ["OPEN", "OPEN", "OPEN", "DATA", "DATA", "DATA"])
    _ = t.answered(1, []) + t.answered(3, [])
    #expect(t.answered(5, []).closed == .drained)
  }

  @Test(
    "what a server may not do ends the connection",
    arguments: [
      (Frame(0, .hello(.init(limits: ConnectionLimits()))), PeerFault.Kind.secondHello),
      (Frame(3, .open(.init(method: "m"))), .wrongDirection),
      (Frame(1, .cancel(reason: "")), .wrongDirection),
      (Frame(2, .status(.init(.ok))), .wrongStream),
      (Frame(3, .status(.init(.ok))), .streamNeverOpened),
      (Frame(5, .data(.init([], endOfMessage: true, endOfStream: true))), .streamNeverOpened),
      (Frame(1, .goAway(.init(isFinal: true, reason: ""))), .wrongStream),
      (Frame(0, .pong(opaque: 5)), .unaskedPong),
      (Frame(0, .unknown(mustUnderstand: true)), .unknownFrame),
    ])
  func faults(frame: Frame, fault: PeerFault.Kind) {
    let t = ClientTranscript.ready()
    let id = t.sends()
    let effects = t.receives(frame)
    #expect(effects.fault == fault)
    #expect(effects.error(id)?.code == .unavailable)
    #expect(effects.error(id)?.executed == .unknown)
    #expect(t.sent().kinds == ["GOAWAY"])
  }

  @Test("nothing may follow a stream's STATUS")
  func afterStatus() {
    let t = ClientTranscript.ready()
    let id = t.sends()
    _ = t.answered(id, [1])
    #expect(t.receives(Frame(id, .status(.init(.ok)))).fault == .streamClosed)
  }

  @Test("leaving says so, waits for answers, then closes")
  func leaving() {
    let t = ClientTranscript.ready()
    let id = t.sends()
    #expect(t.machine.drainRequested(reason: "done").isRetired)
    #expect(t.sent().kinds == ["GOAWAY"])
    #expect(t.answered(id, [1]).closed == .drained)
    let idle = ClientTranscript.ready()
    #expect(idle.machine.drainRequested(reason: "done").closed == .drained)
  }

  @Test("keepalive never asks more often than the server allows")
  func keepalive() {
    let t = ClientTranscript { $0.keepaliveInterval = .seconds(1) }
    _ = t.machine.connectionOpened(at: t.now)
    _ = t.receives(Frame(0, .hello(.init(limits: ConnectionLimits(), minimumPingInterval: .seconds(7)))))
    #expect(t.machine.wakeUp == t.now + .seconds(7))
    _ = t.sent()
    _ = t.passes(.seconds(7))
    #expect(t.sent().pings == [1])
    #expect(t.passes(.seconds(10)).closed == .peerIsGone)
  }
}
