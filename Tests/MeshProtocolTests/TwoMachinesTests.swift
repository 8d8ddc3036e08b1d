import Testing

@testable import MeshProtocol

/// A client machine and a server machine that talk through two queues of bytes, with an owner on each side that does what comes into
/// a seeded generator's mind. Time is a number.
private struct World {
  struct Expectation {
    var message: [UInt8]
    var isDone = false
  }

  var generator: SeededGenerator
  var client: ClientConnectionStateMachine
  var server: ServerConnectionStateMachine
  var now = ContinuousClock.now
  var toServer: [[UInt8]] = []
  var toClient: [[UInt8]] = []
  var running: [UInt32: [UInt8]] = [:]
  var stopped: Set<UInt32> = []
  var calls: [UInt32: Expectation] = [:]
  var results: [RPCCode: Int] = [:]
  var clientClosed: CloseCause?
  var serverClosed: CloseCause?
  var mostRunning = 0
  var problems: [String] = []
  let limit: Int

  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    limit = Int.random(in: 1...20, using: &generator)
    var configuration = ConnectionConfiguration()
    configuration.limits.concurrentStreams = limit
    configuration.limits.frameBytes = 8192
    configuration.limits.metadataBytes = 1024
    configuration.resetInterval = .microseconds(1)
    client = ClientConnectionStateMachine(configuration)
    server = ServerConnectionStateMachine(configuration) { open in
      open.method == "refused" ? .refused(RPCError(.unimplemented, "no", executed: .no)) : .accepted(messageBytes: 50_000)
    }
  }

  mutating func run(steps: Int) {
    handle(client.connectionOpened(at: now))
    handle(server.connectionOpened(at: now))
    for _ in 0..<steps { step() }
    // Let everything come to its end: no new calls, every handler returns, every byte arrives.
    handle(server.drainRequested(reason: "end", at: now))
    for _ in 0..<2000 where clientClosed == nil || serverClosed == nil {
      pump()
      for id in running.keys.sorted() { finish(id) }
      deliverAll()
      if running.isEmpty, toServer.isEmpty, toClient.isEmpty { now += .milliseconds(100) }
      handle(client.timePassed(at: now))
      handle(server.timePassed(at: now))
    }
  }

  mutating func step() {
    now += .microseconds(Int.random(in: 0...2000, using: &generator))
    switch Int.random(in: 0..<100, using: &generator) {
    case 0..<30: call()
    case 30..<50: pump()
    case 50..<70:
      if !toServer.isEmpty { deliver(toServer.removeFirst(), toServer: true) }
    case 70..<85:
      if !toClient.isEmpty { deliver(toClient.removeFirst(), toServer: false) }
    case 85..<93:
      if let id = running.keys.sorted().randomElement(using: &generator) { finish(id) }
    case 93..<96:
      if let id = calls.filter({ !$0.value.isDone }).keys.sorted().randomElement(using: &generator) { handle(client.callCancelled(id)) }
    case 96..<98:
      handle(client.timePassed(at: now))
      handle(server.timePassed(at: now))
    default:
      pump()
      deliverAll()
    }
  }

  mutating func call() {
    guard client.freeSlots > 0 else { return }
    let size = [0, 1, 100, 20_000, 60_000].randomElement(using: &generator) ?? 0
    let message = [UInt8](repeating: UInt8.random(in: 0...255, using: &generator), count: size)
    let deadline: ContinuousClock.Instant? =
      Bool.random(using: &generator) ? now + .milliseconds(Int.random(in: 1...40, using: &generator)) : nil
    let method = Int.random(in: 0..<10, using: &generator) == 0 ? "refused" : "echo"
    let (opened, effects) = client.callRequested(.init(method: method, message: message, deadline: deadline), at: now)
    if case .success(let id) = opened { calls[id] = Expectation(message: message) }
    handle(effects)
  }

  mutating func finish(_ id: UInt32) {
    guard let message = running.removeValue(forKey: id) else { return }
    let result: Result<RPCReply, RPCError> =
      Int.random(in: 0..<8, using: &generator) == 0 ? .failure(RPCError(.aborted, "no")) : .success(RPCReply(message: message))
    handle(server.handlerReturned(id, result, at: now))
  }

  mutating func pump() {
    func bytes(_ frame: Frame) -> [UInt8] { (try? FrameCodec.encoded(frame)) ?? [] }
    while let frame = client.nextFrame(at: now) { toServer.append(bytes(frame)) }
    while let frame = server.nextFrame(at: now) { toClient.append(bytes(frame)) }
  }

  mutating func deliverAll() {
    while !toServer.isEmpty { deliver(toServer.removeFirst(), toServer: true) }
    while !toClient.isEmpty { deliver(toClient.removeFirst(), toServer: false) }
  }

  mutating func deliver(_ bytes: [UInt8], toServer: Bool) {
    let limit = toServer ? server.inboundFrameBytes : client.inboundFrameBytes
    let read = bytes.withUnsafeBytes { raw in
      Result { () throws(FrameError) in try FrameCodec.firstFrame(of: raw, limitBytes: limit) }
    }
    guard case .success(let (frame, _)?) = read else { return problems.append("unreadable frame: \(read)") }
    if toServer { handle(server.frameReceived(frame, at: now)) } else { handle(client.frameReceived(frame, at: now)) }
  }

  mutating func handle(_ effects: [ConnectionEffect<ServerConnectionStateMachine.Event>]) {
    for effect in effects {
      switch effect {
      case .event(.startHandler(let call)):
        running[call.streamID] = call.message
        mostRunning = max(mostRunning, running.count)
      case .event(.cancelHandler(let id, _)): stopped.insert(id)
      case .event(.becameReady), .dropped: break
      case .close(let cause): serverClosed = cause
      case .misused(let what): problems.append("server misused: \(what)")
      }
    }
  }

  mutating func handle(_ effects: [ConnectionEffect<ClientConnectionStateMachine.Event>]) {
    for effect in effects {
      switch effect {
      case .event(.completed(let id, let result)):
        if calls[id]?.isDone ?? true { problems.append("stream \(id) completed twice, or never opened") }
        calls[id]?.isDone = true
        switch result {
        case .success(let reply):
          if reply.message != calls[id]?.message { problems.append("stream \(id) got another's answer") }
          results[.ok, default: 0] += 1
        case .failure(let error): results[error.code, default: 0] += 1
        }
      case .event, .dropped: break
      case .close(let cause): clientClosed = cause
      case .misused(let what): problems.append("client misused: \(what)")
      }
    }
  }
}

@Suite("Two machines and a random schedule")
struct TwoMachinesTests {
  @Test("every call ends exactly once with its own answer, handlers stay within the limit, nobody is ever at fault, and a drain ends clean")
  func schedules() {
    let base = UInt64.random(in: 0...(1 << 40))
    print("seeds from \(base)")
    var totals: [RPCCode: Int] = [:]
    for seed in base..<base + 120 {
      var world = World(seed: seed)
      world.run(steps: 600)
      #expect(world.problems.isEmpty, "seed \(seed): \(world.problems.prefix(3))")
      #expect(world.calls.values.allSatisfy { $0.isDone }, "seed \(seed)")
      #expect(world.mostRunning <= world.limit, "seed \(seed)")
      #expect(world.clientClosed == .drained, "seed \(seed)")
      #expect(world.serverClosed == .drained, "seed \(seed)")
      #expect(world.server.takenSlots == 0 && world.server.runningHandlers == 0, "seed \(seed)")
      #expect(world.running.isEmpty, "seed \(seed)")
      totals.merge(world.results) { $0 + $1 }
    }
    // What the schedules reached: a generator that stops making one of these would prove nothing.
    for code in [RPCCode.ok, .cancelled, .deadlineExceeded, .aborted, .unimplemented, .resourceExhausted] {
      #expect(totals[code, default: 0] > 30, "\(code): \(totals)")
    }
  }
}
