internal import FlorinAPI
internal import Idempotency
internal import Logging
internal import MeshProtocol
internal import Money
internal import Postgres
internal import SagaEngine
internal import Telemetry

/// Makes payments, each once: claims the key, starts the saga, waits for its end as long as the caller does.
struct PaymentCreator: Sendable {
  let orchestrator: PaymentOrchestrator
  let payments: PaymentStore
  let clock: any WallClock
  let logger: Logger
  var patience = Patience()

  /// How long callers wait.
  struct Patience: Sendable {
    /// For the end of their own payment, when they set no deadline.
    var withoutDeadline = Duration.seconds(30)
    /// For the end of a payment that another call has begun.
    var forAnotherCall = Duration.seconds(2)
    /// Kept back from the caller's deadline, to answer in.
    var margin = Duration.milliseconds(250)
    /// Between looks at the database, for a payment that another process may be running.
    var betweenLooks = Duration.milliseconds(500)
  }

  func create(_ request: CreateOrder, _ context: CallContext) async throws -> RPCResponse<PaymentAPI.Payment> {
    let id = request.scope.paymentID
    // Before anything is looked up: an end between the look and the wait must not be missed.
    let ticket = orchestrator.runner.board.ticket(for: id)
    defer { orchestrator.runner.board.giveBack(ticket) }
    let arrived = ContinuousClock.now
    guard orchestrator.running.enter(id) else { throw PaymentRefusal.tooManyPayments(limit: orchestrator.running.limit) }
    // The run has its own hold; this one ends when the claim is decided.
    var isHeld = true
    func letGo() {
      if isHeld { orchestrator.running.leave(id) }
      isHeld = false
    }
    defer { letGo() }
    switch try await claim(request, id, context) {
    case .claimed(let order, let machine, let lease):
      PaymentMetrics.accepted()
      PaymentLog.accepted(order, logger)
      // Cannot be refused: the saga is entered already.
      if orchestrator.running.enter(id) { orchestrator.launch(order, machine, lease, isFresh: true) }
      letGo()
      return try await firstAnswer(order, ticket, limit(context, arrived, nil))
    case .taken(let known):
      letGo()
      return try await laterAnswer(request, known, ticket, context, arrived)
    }
  }

  private enum Claim {
    case claimed(PaymentOrder, SagaStateMachine<PaymentAction>, SagaLease)
    case taken(KeyedPayment)
  }

  private func claim(_ request: CreateOrder, _ id: PaymentID, _ context: CallContext) async throws -> Claim {
    let order = PaymentOrder(
      paymentID: id, payer: request.payer, payee: request.payee, amount: request.amount, claimedAt: clock.now,
      traceparent: TraceIdentity.current?.traceparent, scope: request.scope)
    var machine = SagaStateMachine(started: PaymentSaga.current)
    let intent = SagaEvent.intent(try FrozenRequests(order).intent(of: 0, in: machine.definition))
    let events = [machine.startedEvent, intent]
    try machine.apply(intent)
    let announcement = try PaymentAPI.Payment(PaymentRecord(order: order, state: .accepted)).serialized()
    let result = try await payments.claim(
      PaymentStore.NewPayment(
        order: order, fingerprint: request.fingerprint, owner: orchestrator.instance, definition: machine.definition, events: events,
        summary: machine.phaseName, announcement: announcement, callerPath: context.peer.path))
    switch result {
    case .claimed(let lease): return .claimed(order, machine, lease)
    case .taken(let known): return .taken(known)
    case .clockSkewed: throw PaymentRefusal.clockSkewed
    }
  }

  /// The caller whose request made the payment gets its end, or, if that takes too long, "accepted" and the payment's address.
  private func firstAnswer(
    _ order: PaymentOrder, _ ticket: CompletionBoard.Ticket, _ limit: ContinuousClock.Instant
  ) async throws -> RPCResponse<PaymentAPI.Payment> {
    if let end = try await waitForEnd(of: order.paymentID, ticket, until: limit) { return Self.answer(end) }
    let accepted = PaymentRecord(order: order, state: .accepted)
    return RPCResponse(PaymentAPI.Payment(accepted), trailers: ["provisional": "true"])
  }

  /// A caller whose key stands for a payment already.
  private func laterAnswer(
    _ request: CreateOrder, _ known: KeyedPayment, _ ticket: CompletionBoard.Ticket, _ context: CallContext,
    _ arrived: ContinuousClock.Instant
  ) async throws -> RPCResponse<PaymentAPI.Payment> {
    let id = known.payment.order.paymentID
    switch IdempotencyDecision.decide(paymentExists: true, record: known.key, fingerprint: request.fingerprint, now: known.now) {
    case .replay(let reply): return try await replay(reply, of: known.payment, context)
    case .otherBody:
      try await payments.audit("payment.create", outcome: "idempotency_key_reused", of: id, by: context.peer.path)
      throw PaymentRefusal.keyReused(id)
    case .keyExpired, .new:
      try await payments.audit("payment.create", outcome: "key_expired", of: id, by: context.peer.path)
      throw PaymentRefusal.keyExpired(id)
    case .inProgress:
      if known.payment.state == .manual { return Self.answer(try Self.completion(known.payment)) }
      // Somebody is waiting for it: it need not wait for its back-off.
      try await orchestrator.runner.store.hasten(id)
      let end = try await waitForEnd(of: id, ticket, until: limit(context, arrived, patience.forAnotherCall))
      guard let end else { throw PaymentRefusal.inProgress(id) }
      guard end.state.isFinal else { return Self.answer(end) }
      // From the record, not from memory: a replay sends what is stored.
      guard let now = try await payments.keyed(id), let reply = now.key?.reply else { throw PaymentRefusal.keyExpired(id) }
      return try await replay(reply, of: now.payment, context)
    }
  }

  private func replay(
    _ reply: StoredReply, of payment: PaymentRecord, _ context: CallContext
  ) async throws -> RPCResponse<PaymentAPI.Payment> {
    try await payments.audit(
      "payment.replayed", outcome: "replayed", of: payment.order.paymentID, by: context.peer.path,
      ["attempt": String(context.attempt)])
    PaymentMetrics.replayed()
    PaymentLog.replayed(payment, caller: context.peer.path, logger)
    return RPCResponse(encoded: reply.message, trailers: ["idempotent-replayed": "true"])
  }

  /// Waits for the end of a payment, here or in another process. Nil when `limit` passes before.
  private func waitForEnd(
    of id: PaymentID, _ ticket: CompletionBoard.Ticket, until limit: ContinuousClock.Instant
  ) async throws -> CompletionBoard.Completion? {
    while true {
      let now = ContinuousClock.now
      if let end = await ticket.wait(until: min(limit, now + patience.betweenLooks)) { return end }
      try Task.checkCancellation()
      guard .now < limit else { return nil }
      // A saga that runs here will tell; one that doesn't may be finished by another process.
      if orchestrator.running.contains(id) { continue }
      if let known = try await payments.keyed(id), known.payment.state != .accepted {
        if let reply = known.key?.reply { return CompletionBoard.Completion(state: known.payment.state, reply: reply.message) }
        return try Self.completion(known.payment)
      }
    }
  }

  /// The caller's deadline less the time to answer in; without one, or where less is due, `longest`.
  private func limit(_ context: CallContext, _ arrived: ContinuousClock.Instant, _ longest: Duration?) -> ContinuousClock.Instant {
    guard let deadline = context.deadline else { return arrived + (longest ?? patience.withoutDeadline) }
    // Of a short deadline at most a quarter is kept back.
    let latest = deadline - min(patience.margin, arrived.duration(to: deadline) / 4)
    return longest.map { min(arrived + $0, latest) } ?? latest
  }

  private static func completion(_ payment: PaymentRecord) throws -> CompletionBoard.Completion {
    CompletionBoard.Completion(state: payment.state, reply: try PaymentAPI.Payment(payment).serialized())
  }

  /// A final state is the stored reply; anything else may still change, and says so.
  private static func answer(_ end: CompletionBoard.Completion) -> RPCResponse<PaymentAPI.Payment> {
    RPCResponse(encoded: end.reply, trailers: end.state.isFinal ? [:] : ["provisional": "true"])
  }
}
