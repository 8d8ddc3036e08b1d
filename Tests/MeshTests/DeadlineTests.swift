import MeshClient
import MeshProtocol
import MeshServer
import MeshTestKit
import Testing

/// payment calls ledger, whose handler calls account, whose handler holds until it is told to stop.
private struct TwoHops {
  let far: TestServer
  let near: TestServer
  let toFar: MeshChannel
  let channel: MeshChannel
  /// What was left of the deadline when each handler began.
  let remaining = Record<Duration?>()
  let entered = MeshTestKit.Counter()
  let cancelled = MeshTestKit.Counter()

  init(_ options: CallOptions = CallOptions()) async throws {
    let (remaining, entered, cancelled) = (remaining, entered, cancelled)
    far = try await TestServer(
      as: "account",
      methods: [
        .echo,
        .test("test.Far/Hold") { _, context in
          remaining.append(context.deadline.map { $0 - .now })
          entered.add()
          do {
            try await Gate().wait()
          } catch {
            cancelled.add()
            throw error
          }
          return RPCReply(message: [])
        },
      ])
    let toFar = try far.channel(as: "ledger", expecting: "account")
    self.toFar = toFar
    near = try await TestServer(methods: [
      .echo,
      .test("test.Near/Call") { _, context in
        remaining.append(context.deadline.map { $0 - .now })
        do {
          return try await toFar.call("test.Far/Hold", [], options)
        } catch {
          cancelled.add()
          throw error
        }
      },
    ])
    channel = try near.channel()
    // Connected, so that a deadline is spent on the call alone.
    _ = try await toFar.call()
    _ = try await channel.call()
  }

  func stop() async throws {
    await channel.shutDown()
    try await near.stop()
    await toFar.shutDown()
    try await far.stop()
  }
}

@Suite("Deadlines and cancellation", .serialized)
struct DeadlineTests {
  @Test("a deadline is inherited over two hops, less a margin, and ends both handlers")
  func inherited() async throws {
    let hops = try await TwoHops()
    let failure = try await #require(error { try await hops.channel.call("test.Near/Call", [], CallOptions(timeout: .seconds(4))) })
    #expect(failure.code == .deadlineExceeded)
    try await eventually("both handlers are cancelled") { hops.cancelled.value == 2 }
    let seen = hops.remaining.all.compactMap { $0 }
    try #require(seen.count == 2)
    #expect(seen[0] <= .seconds(4))
    #expect(seen[1] <= seen[0] - .milliseconds(5))
    try await eventually("the slots are free") { hops.near.server.runningHandlers == 0 && hops.far.server.runningHandlers == 0 }
    try await hops.stop()
  }

  @Test("a call may be detached from the deadline above, and a shorter timeout of its own counts")
  func detached() async throws {
    let hops = try await TwoHops(CallOptions(timeout: .seconds(300), detached: true))
    let failure = try await #require(error { try await hops.channel.call("test.Near/Call", [], CallOptions(timeout: .seconds(4))) })
    #expect(failure.code == .deadlineExceeded)
    try await eventually("the far handler has begun") { hops.remaining.all.count == 2 }
    let far = try #require(hops.remaining.all[1])
    #expect(far > .seconds(200))
    try await hops.stop()
  }

  @Test("cancelling the caller's task cancels the handlers over two hops", arguments: 1...10)
  func cancelled(round: Int) async throws {
    let hops = try await TwoHops()
    let call = Task { await error { try await hops.channel.call("test.Near/Call") } }
    try await eventually("the far handler runs") { hops.entered.value == 1 }
    call.cancel()
    let failure = try #require(await call.value)
    #expect(failure.code == .cancelled)
    try await eventually("both handlers are cancelled") { hops.cancelled.value == 2 }
    try await eventually("the slots are free") { hops.near.server.runningHandlers == 0 && hops.far.server.runningHandlers == 0 }
    // The connections live on.
    #expect(hops.near.server.connectionCount == 1)
    #expect(hops.far.server.connectionCount == 1)
    try await hops.stop()
  }

  @Test("a task that is cancelled already sends nothing; one that waits for a connection stops waiting")
  func cancelledEarly() async throws {
    let seen = MeshTestKit.Counter()
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { message, _ in
        seen.add()
        return RPCReply(message: message)
      }
    ])
    let channel = try server.channel()
    for _ in 0..<50 {
      let call = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return await error { try await channel.call() }
      }
      let failure = try #require(await call.value)
      #expect(failure.code == .cancelled)
      #expect(failure.executed == .no)
    }
    #expect(seen.value == 0)
    let port = server.port
    await channel.shutDown()
    try await server.stop()
    let waiting = try MeshChannel.test([port])
    let call = Task { await error { try await waiting.call("test.Echo/Say", [], CallOptions(waitForReady: true)) } }
    try await Task.sleep(for: .milliseconds(20))
    call.cancel()
    #expect(await call.value?.code == .cancelled)
    await waiting.shutDown()
  }

  @Test("a caller that hangs up only stops waiting: work handed to a task of the service goes on to its end")
  func supervisedWork() async throws {
    let gate = Gate()
    let claimed = MeshTestKit.Counter()
    let done = MeshTestKit.Counter()
    let server = try await TestServer(methods: [
      .echo,
      .test("test.Pay/Create") { _, _ in
        // The claim is made; from here on the work is the service's, not the caller's.
        let work = Task {
          claimed.add()
          try await gate.wait()
          done.add()
        }
        try await work.value
        return RPCReply(message: [])
      },
    ])
    let channel = try server.channel()
    _ = try await channel.call()
    let byDeadline = Task { await error { try await channel.call("test.Pay/Create", [], CallOptions(timeout: .seconds(5))) } }
    let byCancelling = Task { await error { try await channel.call("test.Pay/Create") } }
    let raw = try await RawConnection.ready(server.port)
    try await raw.send(
      Frame(1, .open(.init(method: "test.Pay/Create"))), Frame(1, .data(.init([], endOfMessage: true, endOfStream: true))))
    try await eventually("three payments are claimed") { claimed.value == 3 }
    byCancelling.cancel()
    await raw.close()
    #expect(await byCancelling.value?.code == .cancelled)
    #expect(await byDeadline.value?.code == .deadlineExceeded)
    #expect(done.value == 0)
    gate.open()
    try await eventually("all three are done") { done.value == 3 }
    await channel.shutDown()
    try await server.stop()
  }

  @Test("a call that has expired when it is whole is refused before the handler")
  func expiredOnArrival() async throws {
    let seen = MeshTestKit.Counter()
    let server = try await TestServer(methods: [
      .test("test.Echo/Say") { message, _ in
        seen.add()
        return RPCReply(message: message)
      }
    ])
    let raw = try await RawConnection.ready(server.port)
    try await raw.send(Frame(1, .open(.init(method: "test.Echo/Say", remaining: .nanoseconds(1)))))
    guard case .status(let status)? = try await raw.frame()?.kind else { return #expect(Bool(false), "no STATUS") }
    #expect(status.code == .deadlineExceeded)
    #expect(status.executed == .no)
    try await raw.send(Frame(1, .data(.init([1], endOfMessage: true, endOfStream: true))))
    try await raw.send(
      Frame(3, .open(.init(method: "test.Echo/Say"))), Frame(3, .data(.init([3], endOfMessage: true, endOfStream: true))))
    #expect(try await raw.frame()?.streamID == 3)
    #expect(seen.value == 1)
    await raw.close()
    try await server.stop()
  }
}
