import Testing

@testable import MeshProtocol

@Suite("The server's connection machine")
struct ServerConnectionTests {
  @Test("HELLO goes out first, and a call is answered with its message and OK")
  func unary() {
    let t = ServerTranscript()
    #expect(t.machine.connectionOpened(at: t.now) == [])
    #expect(t.sent().kinds == ["HELLO"])
    let hello = Frame.Hello(limits: ConnectionLimits())
    #expect(t.receives(Frame(0, .hello(hello))) == [.event(.becameReady(hello))])
    #expect(t.opens(1, remaining: .seconds(2)) == [])
    let effects = t.says(1, [7, 8])
    #expect(
      effects == [
        .event(
          .startHandler(
            .init(
              streamID: 1, open: .init(method: "test.Echo/Say", remaining: .seconds(2)), message: [7, 8], deadline: t.now + .seconds(2),
              isDenied: false)))
      ])
    #expect(t.sent() == [])
    #expect(t.returns(1, [9]) == [])
    #expect(t.sent() == [Frame(1, .data(.init([9], endOfMessage: true, endOfStream: true))), Frame(1, .status(.init(.ok)))])
    #expect(t.machine.takenSlots == 0)
  }

  @Test("a message in many frames is put together; an empty one is a message too")
  func assembly() {
    let t = ServerTranscript.ready()
    #expect(t.opens(1) == [])
    #expect(t.says(1, [1, 2], endOfMessage: false, endOfStream: false) == [])
    #expect(t.says(1, [3], endOfMessage: false, endOfStream: false) == [])
    #expect(t.says(1, [4], endOfMessage: true, endOfStream: false) == [])
    let effects = t.says(1, [], endOfMessage: false, endOfStream: true)
    guard case .event(.startHandler(let call))? = effects.first else { return #expect(Bool(false)) }
    #expect(call.message == [1, 2, 3, 4])
    guard case .event(.startHandler(let empty))? = t.calls(3, []).first else { return #expect(Bool(false)) }
    #expect(empty.message == [])
  }

  @Test("an answer larger than the caller's frames goes out in several, and two answers take turns")
  func chunks() {
    let t = ServerTranscript.ready(peer: ConnectionLimits(frameBytes: 8192, metadataBytes: 1024))
    _ = t.calls(1) + t.calls(3)
    let first = [UInt8](repeating: 1, count: 20_000)
    let second = [UInt8](repeating: 3, count: 20_000)
    _ = t.returns(1, first) + t.returns(3, second)
    let frames = t.sent()
    #expect(frames.map(\.streamID) == [1, 3, 1, 3, 1, 1, 3, 3])
    #expect(frames.body(1) == first)
    #expect(frames.body(3) == second)
    #expect(frames.status(1)?.code == .ok)
    for frame in frames { #expect((try? FrameCodec.encoded(frame).count) ?? .max <= 8192 + 4) }
  }

  @Test("an answer over the caller's message limit is an error, not a frame that it must refuse")
  func answerTooLarge() {
    let t = ServerTranscript.ready(peer: ConnectionLimits(messageBytes: 10))
    _ = t.calls(1)
    _ = t.returns(1, [UInt8](repeating: 1, count: 11))
    let status = t.sent().status(1)
    #expect(status?.code == .resourceExhausted)
    #expect(status?.executed == .yes)
  }

  @Test("a message over the limit is refused before it is whole, and the rest of it is dropped")
  func messageTooLarge() {
    let t = ServerTranscript.ready(admit: { _ in .accepted(messageBytes: 5) })
    _ = t.opens(1)
    #expect(t.says(1, [1, 2, 3], endOfMessage: false, endOfStream: false) == [])
    #expect(t.says(1, [4, 5, 6], endOfMessage: false, endOfStream: false) == [])
    let status = t.sent().status(1)
    #expect(status?.code == .resourceExhausted)
    #expect(status?.executed == .no)
    #expect(t.says(1, [7]) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.machine.takenSlots == 0)
    #expect(t.calls(3).started == [3])
  }

  @Test("what is refused never reaches a handler: unknown method, metadata over the limit or malformed, no message, two messages")
  func refusals() {
    let t = ServerTranscript.ready(
      { $0.limits.metadataBytes = 100 },
      admit: { open in
        open.method == "nope" ? .refused(RPCError(.unimplemented, "no", executed: .no)) : .accepted(messageBytes: 100)
      })
    #expect(t.opens(1, "nope") == [])
    #expect(t.sent().status(1)?.code == .unimplemented)
    #expect(t.opens(3, metadata: Metadata(entries: [.init(key: "k", value: [UInt8](repeating: 65, count: 68))])) == [])
    #expect(t.sent().status(3)?.code == .resourceExhausted)
    #expect(t.opens(5, metadata: Metadata(entries: [.init(key: "K", value: [])])) == [])
    #expect(t.sent().status(5)?.code == .invalidArgument)
    #expect(t.opens(7, String(repeating: "x", count: 256)) == [])
    #expect(t.sent().status(7)?.code == .invalidArgument)
    #expect(t.opens(9) + t.says(9, [], endOfMessage: false, endOfStream: true) == [])
    #expect(t.sent().status(9)?.code == .invalidArgument)
    #expect(t.opens(11) + t.says(11, [1], endOfStream: false) + t.says(11, [2]) == [])
    #expect(t.sent().status(11)?.code == .unimplemented)
    #expect(t.machine.takenSlots == 0)
    #expect(t.machine.runningHandlers == 0)
  }

  @Test("a denied call is answered by its owner, its message is never listened to, and no deadline hides the denial")
  func denial() {
    let t = ServerTranscript.ready(admit: { _ in .denied })
    let effects = t.opens(1, remaining: .milliseconds(1))
    guard case .event(.startHandler(let call))? = effects.first else { return #expect(Bool(false)) }
    #expect(call.isDenied)
    #expect(call.message == [])
    #expect(t.says(1, [1, 2, 3]) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.passes(.seconds(1)) == [])
    _ = t.machine.handlerReturned(1, .failure(RPCError(.permissionDenied, "no", executed: .no)), at: t.now)
    #expect(t.sent().status(1)?.code == .permissionDenied)
  }

  @Test("a call that has expired when it is whole never reaches a handler")
  func expiredOnArrival() {
    let t = ServerTranscript.ready()
    _ = t.opens(1, remaining: .milliseconds(5))
    t.now += .milliseconds(5)
    #expect(t.says(1, [1]).started == [])
    let status = t.sent().status(1)
    #expect(status?.code == .deadlineExceeded)
    #expect(status?.executed == .no)
    #expect(t.machine.takenSlots == 0)
  }

  @Test("when the deadline passes the handler is cancelled and the caller answered at once; the slot waits for the handler")
  func deadline() {
    let t = ServerTranscript.ready()
    _ = t.calls(1, remaining: .seconds(1)) + t.calls(3, remaining: .seconds(2)) + t.calls(5)
    #expect(t.machine.wakeUp == t.now + .seconds(1))
    #expect(t.passes(.seconds(1)) == [.event(.cancelHandler(streamID: 1, reason: .deadlinePassed))])
    #expect(t.sent().status(1) == Frame.Status(.deadlineExceeded, "the call's deadline passed", origin: .runtime, executed: .yes))
    #expect(t.machine.takenSlots == 3)
    #expect(t.machine.wakeUp == t.now + .seconds(1))
    #expect(t.machine.handlerReturned(1, .success(RPCReply(message: [1])), at: t.now) == [])
    #expect(t.sent() == [])
    #expect(t.machine.takenSlots == 2)
    #expect(t.passes(.seconds(1)).cancelled == [3])
  }

  @Test("CANCEL stops the handler, and frees its slot only when the handler has returned")
  func cancel() {
    let t = ServerTranscript.ready { $0.limits.concurrentStreams = 1 }
    _ = t.calls(1)
    #expect(t.receives(Frame(1, .cancel(reason: ""))) == [.event(.cancelHandler(streamID: 1, reason: .callerCancelled))])
    #expect(t.receives(Frame(1, .cancel(reason: ""))) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.calls(3).started == [])
    #expect(t.sent().nack(3) != nil)
    _ = t.machine.handlerReturned(1, .failure(RPCError(.unknown, "whatever")), at: t.now)
    #expect(t.sent().status(1)?.code == .cancelled)
    #expect(t.calls(5).started == [5])
  }

  @Test("a CANCEL before the message is whole ends the stream without a handler")
  func cancelWhileReceiving() {
    let t = ServerTranscript.ready()
    _ = t.opens(1)
    #expect(t.receives(Frame(1, .cancel(reason: ""))) == [])
    let status = t.sent().status(1)
    #expect(status?.code == .cancelled)
    #expect(status?.executed == .no)
    #expect(t.says(1, [1]) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.machine.takenSlots == 0)
  }

  @Test("a CANCEL while the answer waits drops the answer, not the end of the stream")
  func cancelWhileAnswering() {
    let t = ServerTranscript.ready(peer: ConnectionLimits(frameBytes: 8192, metadataBytes: 1024))
    _ = t.calls(1)
    _ = t.returns(1, [UInt8](repeating: 1, count: 100_000))
    #expect(t.machine.nextFrame(at: t.now)?.kindName == "DATA")
    #expect(t.receives(Frame(1, .cancel(reason: ""))) == [])
    #expect(t.sent().kinds == ["STATUS"])
    #expect(t.machine.takenSlots == 0)
  }

  @Test("10,000 OPENs each followed by CANCEL never have more handlers running than the limit, and end the connection")
  func rapidReset() {
    let t = ServerTranscript.ready { $0.limits.concurrentStreams = 10 }
    var running = 0
    var most = 0
    var fault: PeerFault.Kind?
    for id in stride(from: UInt32(1), to: 20_000, by: 2) {
      running += t.calls(id).started.count
      most = max(most, running)
      let effects = t.receives(Frame(id, .cancel(reason: "")))
      _ = t.sent()
      if let kind = effects.fault {
        fault = kind
        break
      }
    }
    #expect(most == 10)
    #expect(fault == .tooManyResets)
  }

  @Test("more streams than allowed get a NACK, and may come again")
  func concurrency() {
    let t = ServerTranscript.ready { $0.limits.concurrentStreams = 2 }
    #expect(t.calls(1).started == [1])
    #expect(t.calls(3).started == [3])
    #expect(t.calls(5) == [.dropped(.streamEndedMeanwhile)])
    #expect(t.sent().nack(5)?.retryAfter != nil)
    _ = t.returns(1, [])
    // The answer is not yet written: a client that never reads must not pile up answers.
    #expect(t.calls(7).started == [])
    _ = t.sent()
    #expect(t.calls(9).started == [9])
  }

  @Test("a handler that was not begun for want of room is a NACK")
  func declined() {
    let t = ServerTranscript.ready()
    _ = t.calls(1)
    #expect(t.machine.handlerDeclined(1, .init("full", retryAfter: .milliseconds(5)), at: t.now) == [])
    #expect(t.sent() == [Frame(1, .nack(.init("full", retryAfter: .milliseconds(5))))])
    #expect(t.machine.takenSlots == 0)
  }

  @Test(
    "what a client may not do ends the connection with a GOAWAY that says so",
    arguments: [
      (Frame(0, .hello(.init(limits: ConnectionLimits()))), PeerFault.Kind.secondHello),
      (Frame(2, .open(.init(method: "m"))), .streamIDNotOdd),
      (Frame(0, .open(.init(method: "m"))), .streamIDNotOdd),
      (Frame(0x8000_0001, .open(.init(method: "m"))), .streamIDNotOdd),
      (Frame(1, .open(.init(method: "m"))), .streamIDReused),
      (Frame(3, .open(.init(method: "m"))), .streamIDReused),
      (Frame(3, .data(.init([1], endOfMessage: true, endOfStream: true))), .streamClosed),
      (Frame(5, .data(.init([1], endOfMessage: true, endOfStream: true))), .streamNeverOpened),
      (Frame(0, .data(.init([1], endOfMessage: true, endOfStream: true))), .wrongStream),
      (Frame(5, .cancel(reason: "")), .streamNeverOpened),
      (Frame(3, .status(.init(.ok))), .wrongDirection),
      (Frame(3, .nack(.init("x"))), .wrongDirection),
      (Frame(3, .ping(opaque: 1)), .wrongStream),
      (Frame(3, .goAway(.init(isFinal: true, reason: ""))), .wrongStream),
      (Frame(0, .pong(opaque: 1)), .unaskedPong),
      (Frame(0, .window(creditBytes: 0)), .zeroCredit),
      (Frame(3, .unknown(mustUnderstand: true)), .unknownFrame),
    ])
  func faults(frame: Frame, fault: PeerFault.Kind) {
    let t = ServerTranscript.ready()
    _ = t.calls(3)
    let effects = t.receives(frame)
    #expect(effects.fault == fault)
    #expect(effects.cancelled == [3])
    let goAway = t.sent().goAways.first
    #expect(goAway?.isFinal == true)
    #expect(goAway?.lastStreamID == 3)
    #expect(goAway?.reason.contains(fault.rawValue) == true)
    #expect(t.receives(Frame(0, .ping(opaque: 1))) == [])
    #expect(t.machine.handlerReturned(3, .success(RPCReply(message: [])), at: t.now) == [])
    #expect(t.sent() == [])
  }

  @Test("frames before HELLO, HELLOs that cannot be used, and bytes that are no frame end the connection")
  func hello() {
    func fault(_ frame: Frame) -> PeerFault.Kind? {
      let t = ServerTranscript()
      _ = t.machine.connectionOpened(at: t.now)
      let effects = t.receives(frame)
      // Our HELLO was not yet written: it stays the first frame.
      #expect(t.sent().kinds == ["HELLO", "GOAWAY"])
      return effects.fault
    }
    #expect(fault(Frame(1, .open(.init(method: "m")))) == .frameBeforeHello)
    #expect(fault(Frame(0, .ping(opaque: 1))) == .frameBeforeHello)
    #expect(fault(Frame(1, .hello(.init(limits: ConnectionLimits())))) == .wrongStream)
    #expect(fault(Frame(0, .hello(.init(minimumVersion: 2, maximumVersion: 3, limits: ConnectionLimits())))) == .noCommonVersion)
    #expect(fault(Frame(0, .hello(.init(limits: nil)))) == .unusableLimits)
    #expect(fault(Frame(0, .hello(.init(limits: ConnectionLimits(frameBytes: 10))))) == .unusableLimits)
    let t = ServerTranscript.ready()
    #expect(t.machine.frameRejected(.frameTooLarge(bytes: 9, limit: 8), at: t.now).fault == .frameTooLarge)
    #expect(t.sent().kinds == ["GOAWAY"])
  }

  @Test("a client that says no HELLO in time is closed")
  func helloTimeout() {
    let t = ServerTranscript()
    _ = t.machine.connectionOpened(at: t.now)
    #expect(t.machine.inboundFrameBytes == 8192)
    #expect(t.machine.wakeUp == t.now + .seconds(5))
    #expect(t.passes(.seconds(4)) == [])
    #expect(t.passes(.seconds(1)).closed == .helloTimedOut)
  }

  @Test("PINGs are answered, but not more often than HELLO allows")
  func pings() {
    let t = ServerTranscript.ready()
    for opaque in 1...3 {
      #expect(t.receives(Frame(0, .ping(opaque: UInt64(opaque)))) == [])
      #expect(t.sent() == [Frame(0, .pong(opaque: UInt64(opaque)))])
    }
    #expect(t.receives(Frame(0, .ping(opaque: 4))).fault == .tooManyPings)
    let patient = ServerTranscript.ready()
    for opaque in 1...100 {
      #expect(patient.receives(Frame(0, .ping(opaque: UInt64(opaque)))) == [])
      patient.now += .seconds(5)
    }
  }

  @Test("a silent peer is asked, and given up if it says nothing")
  func keepalive() {
    let t = ServerTranscript.ready()
    #expect(t.machine.wakeUp == t.now + .seconds(20))
    #expect(t.passes(.seconds(20)) == [])
    #expect(t.sent().pings == [1])
    _ = t.receives(Frame(0, .pong(opaque: 1)))
    #expect(t.passes(.seconds(20)) == [])
    #expect(t.sent().pings == [2])
    #expect(t.passes(.seconds(9)) == [])
    #expect(t.passes(.seconds(1)).closed == .peerIsGone)
  }

  @Test("empty DATA frames are dropped, a flood of them is not")
  func emptyFrames() {
    let t = ServerTranscript.ready()
    _ = t.opens(1)
    var fault: PeerFault.Kind?
    for _ in 0..<200 where fault == nil { fault = t.says(1, [], endOfMessage: false, endOfStream: false).fault }
    #expect(fault == .tooManyEmptyFrames)
  }

  @Test("unknown frames that may be skipped are, and credit is taken note of")
  func skipped() {
    let t = ServerTranscript.ready()
    #expect(t.receives(Frame(1, .unknown(mustUnderstand: false))) == [.dropped(.unknownFrameSkipped)])
    #expect(t.receives(Frame(0, .window(creditBytes: 1))) == [.dropped(.creditNotInForce)])
  }

  @Test("a drain announces, waits for the client to know, names the last stream, finishes what was accepted, then closes")
  func drain() {
    let t = ServerTranscript.ready()
    _ = t.calls(1)
    #expect(t.machine.drainRequested(reason: "deploy", at: t.now) == [])
    let announcement = t.sent()
    #expect(announcement.kinds == ["GOAWAY", "PING"])
    #expect(announcement.goAways.first?.isFinal == false)
    // A call that crossed the announcement is served.
    #expect(t.calls(3).started == [3])
    #expect(t.receives(Frame(0, .pong(opaque: announcement.pings[0]))) == [])
    #expect(t.sent() == [Frame(0, .goAway(.init(isFinal: true, lastStreamID: 3, reason: "deploy")))])
    // Later ones are not, and may be tried again.
    #expect(t.calls(5).started == [])
    #expect(t.sent().nack(5) != nil)
    #expect(t.returns(1, [1]) == [])
    #expect(t.returns(3, [3]).closed == .drained)
    // The last answer is still to be fetched.
    #expect(t.sent().status(3)?.code == .ok)
  }

  @Test("a drain does not wait for a PONG for ever, nor for handlers")
  func drainLimits() {
    let t = ServerTranscript.ready()
    _ = t.calls(1)
    _ = t.machine.drainRequested(reason: "deploy", at: t.now)
    _ = t.sent()
    #expect(t.machine.wakeUp == t.now + .seconds(1))
    #expect(t.passes(.seconds(1)) == [])
    #expect(t.sent().goAways.map(\.isFinal) == [true])
    // The client is alive, its handler is not done.
    for _ in 0..<2 {
      _ = t.passes(.seconds(14))
      _ = t.receives(Frame(0, .window(creditBytes: 1)))
    }
    let effects = t.passes(.seconds(1))
    #expect(effects.closed == .drainLimitPassed(callsRunning: 1))
    #expect(effects.cancelled == [1])
  }

  @Test("an idle connection drains at once when the client knows; one before HELLO at once")
  func drainIdle() {
    let t = ServerTranscript.ready()
    _ = t.machine.drainRequested(reason: "deploy", at: t.now)
    #expect(t.receives(Frame(0, .pong(opaque: t.sent().pings[0]))).closed == .drained)
    let early = ServerTranscript()
    _ = early.machine.connectionOpened(at: early.now)
    #expect(early.machine.drainRequested(reason: "deploy", at: early.now).closed == .drained)
    #expect(early.sent().kinds == ["HELLO", "GOAWAY"])
  }

  @Test("a lost connection cancels every handler, and their returns are no mistake")
  func lost() {
    let t = ServerTranscript.ready()
    _ = t.calls(1) + t.calls(3)
    #expect(t.machine.connectionLost("reset").cancelled == [1, 3])
    #expect(t.sent() == [])
    #expect(t.returns(1, []) == [])
    #expect(t.returns(3, []) == [])
    #expect(t.machine.runningHandlers == 0)
    #expect(t.machine.wakeUp == nil)
  }

  @Test("our own mistakes are called so")
  func misuse() {
    let t = ServerTranscript.ready()
    func isMisuse(_ effects: [ServerTranscript.Effect]) -> Bool { if case .misused? = effects.first { true } else { false } }
    #expect(isMisuse(t.returns(1, [])))
    #expect(isMisuse(t.machine.connectionOpened(at: t.now)))
    _ = t.calls(1)
    _ = t.returns(1, [])
    #expect(isMisuse(t.returns(1, [])))
  }

  @Test("replies that pile up stop the reading")
  func backedUp() {
    let t = ServerTranscript.ready(admit: { _ in .refused(RPCError(.unimplemented, "no")) })
    var id: UInt32 = 1
    while !t.machine.isBackedUp, id < 2000 {
      _ = t.opens(id)
      id += 2
    }
    #expect(t.machine.isBackedUp)
    #expect(t.machine.takenSlots <= 100)
    _ = t.sent()
    #expect(!t.machine.isBackedUp)
  }
}
