internal import FlorinAPI
internal import Logging
internal import Money
internal import Postgres
internal import SagaEngine
internal import Tracing

/// One process's work on one saga, from where its log stands to its end, or to the next pause.
///
/// A result is not written by itself if another event follows at once: nothing happens outside between the two, so both go in one
/// round trip. Whatever asks somebody for something is written before it is asked.
struct SagaRun {
  enum Ending: Sendable, Hashable {
    /// The saga is over.
    case finished
    /// Its next attempt is due later, and anybody may make it.
    case released
  }

  /// A pause up to this is waited out with the lease in hand.
  static let longestHeldPause: Int64 = 400
  /// A database that does not answer within this time has us let go of the saga. Below the lease.
  static let databaseLimit = Duration.seconds(8)

  let runner: SagaRunner
  let order: PaymentOrder
  var machine: SagaStateMachine<PaymentAction>
  var lease: SagaLease
  /// The log's last event is our own intent of the first step, made in the claim: the call is ours to make, and not in doubt.
  var isFresh = false
  private var unwritten: [SagaEvent] = []

  init(_ runner: SagaRunner, _ order: PaymentOrder, _ machine: SagaStateMachine<PaymentAction>, _ lease: SagaLease, isFresh: Bool) {
    self.runner = runner
    self.order = order
    self.machine = machine
    self.lease = lease
    self.isFresh = isFresh
  }

  /// - Throws: `LeaseLost`, `PostgresError`, `CancellationError`: the saga stands where its log says, and recovery goes on from
  ///   there. `SagaHistoryError`: a participant answered what no participant may.
  mutating func run() async throws -> Ending {
    if isFresh, try await call(step: 0, attempt: 1) == .released { return .released }
    while true {
      try Task.checkCancellation()
      if case .rest(let verdict) = machine.next {
        if !unwritten.isEmpty { try await end(verdict) }
        return .finished
      }
      if try await advance() == .released { return .released }
    }
  }

  private mutating func advance() async throws -> Ending? {
    switch machine.next {
    case .perform(let step):
      do { try record(.intent(try FrozenRequests(order).intent(of: step, in: machine.definition))) } catch let error as SagaHistoryError {
        throw error
      } catch {
        try record(.manual(reason: "request_not_encodable", detail: "\(error)"))
        return nil
      }
      try await flush()
      return try await call(step: step, attempt: 1)
    case .resend(let step, let directed):
      let attempt = attempt(directed, step)
      if isRecorded(attempt, step) {
        try record(.resent(step: step, attempt: attempt))
        try await flush()
      }
      return try await call(step: step, attempt: attempt)
    case .ask(let step, let directed): return try await ask(step, attempt(directed, step))
    case .abandon(let step, let reason):
      try record(.abandoned(step: step, reason: reason))
      return nil
    case .forbid(let step, let reason, let isWritten):
      if !isWritten {
        try record(.tombstoneIntent(step: step, reason: reason))
        try await flush()
      }
      return try await forbid(step)
    case .compensate(let step, let directed): return try await compensate(step, max(directed, lease.attempts + 1))
    case .close(let verdict):
      try record(verdict.event)
      return nil
    case .rest: return nil
    }
  }

  // MARK: Contacts

  private mutating func call(step: Int, attempt: Int) async throws -> Ending? {
    guard let intent = machine.intent(of: step) else { throw SagaHistoryError.unknownStep(step) }
    let action = machine.definition.steps[step].action
    let outcome = try await contact(action, attempt) { await $0.call(action, intent.request) }
    return try await take(.result(step: step, attempt: attempt, outcome), isRecorded: isRecorded(attempt, step))
  }

  private mutating func ask(_ step: Int, _ attempt: Int) async throws -> Ending? {
    guard let intent = machine.intent(of: step) else { throw SagaHistoryError.unknownStep(step) }
    let finding = try await contact(machine.definition.steps[step].action, attempt, "ask") { await $0.inquire(intent) }
    return try await take(.inquired(step: step, attempt: attempt, finding), isRecorded: isRecorded(attempt, step))
  }

  private mutating func forbid(_ step: Int) async throws -> Ending? {
    guard let intent = machine.intent(of: step) else { throw SagaHistoryError.unknownStep(step) }
    let payment = order.paymentID
    let attempt = lease.attempts + 1
    let finding = try await contact(machine.definition.steps[step].action, attempt, "forbid") { await $0.forbid(intent, of: payment) }
    return try await take(.tombstoneResult(step: step, finding), isRecorded: Self.isRecorded(attempt))
  }

  private mutating func compensate(_ step: Int, _ attempt: Int) async throws -> Ending? {
    guard let frozen = machine.intent(of: step)?.compensation, let action = machine.definition.steps[step].compensation else {
      throw SagaHistoryError.compensationMismatch(step: step)
    }
    if Self.isRecorded(attempt) || attempt == 1 {
      try record(.compensationIntent(step: step, attempt: attempt))
      try await flush()
    }
    let outcome = try await contact(action, attempt) { await $0.call(action, frozen.request) }
    return try await take(.compensationResult(step: step, attempt: attempt, outcome), isRecorded: Self.isRecorded(attempt))
  }

  /// One question to a participant, as a span of the payment's trace.
  private func contact<Answer: Sendable>(
    _ action: PaymentAction, _ attempt: Int, _ verb: String = "call", _ ask: @Sendable (any SagaParticipant) async -> Answer
  ) async throws -> Answer {
    let answer = await withSpan("saga.\(action.name)", ofKind: .internal) { span in
      span.attributes["payment_id"] = order.paymentID.description
      span.attributes["saga.verb"] = verb
      span.attributes["saga.attempt"] = attempt
      let answer = await ask(runner.participants.participant(for: action))
      span.attributes["saga.answer"] = PaymentMetrics.word(answer)
      return answer
    }
    PaymentMetrics.contacted(action, verb, answer)
    // Whoever is shutting down has cut the call short himself: that says nothing about the step.
    try Task.checkCancellation()
    try runner.failpoint(.answered(action))
    return answer
  }

  // MARK: The log

  /// Takes an answer: writes it down with what follows, or with the time of the next attempt.
  private mutating func take(_ event: SagaEvent, isRecorded: Bool) async throws -> Ending? {
    guard event.callsForPause else {
      try record(event)
      return nil
    }
    lease.attempts += 1
    if isRecorded { try record(event, keepingAttempts: true) }
    runner.logger.warning(
      "saga.retry",
      metadata: [
        "payment_id": .stringConvertible(order.paymentID), "state": .string(machine.phaseName),
        "attempts": .stringConvertible(lease.attempts), "detail": .string(PaymentMetrics.detail(event)),
      ])
    var generator = SystemRandomNumberGenerator()
    let pause = runner.backoff.milliseconds(after: lease.attempts, using: &generator)
    guard pause <= Self.longestHeldPause else {
      try await flush(.released(milliseconds: pause))
      return .released
    }
    try await flush(.pausing(milliseconds: pause))
    try await Task.sleep(for: .milliseconds(pause))
    return nil
  }

  private mutating func record(_ event: SagaEvent, keepingAttempts: Bool = false) throws {
    try machine.apply(event)
    unwritten.append(event)
    if !keepingAttempts, event.isProgress { lease.attempts = 0 }
  }

  private mutating func flush(_ schedule: SagaSchedule = .running) async throws {
    let events = unwritten
    let (store, machine, lease) = (runner.store, machine, lease)
    try await Deadline.$current.withValue(.now + Self.databaseLimit) {
      try await store.append(events, to: machine, under: lease, schedule: schedule)
    }
    self.lease.lastSequence += events.count
    unwritten = []
    try runner.failpoint(.written(self.lease.lastSequence))
  }

  // MARK: The end

  private mutating func end(_ verdict: SagaVerdict) async throws {
    let finishedAt = max(runner.clock.now, order.claimedAt)
    let (state, reason, detail) = verdict.outcome
    let record = PaymentRecord(order: order, state: state, reason: reason, finishedAt: state.isFinal ? finishedAt : nil)
    let reply = try PaymentAPI.Payment(record).serialized()
    let ending = SagaStore.Ending(
      events: unwritten, state: state, reason: reason, finishedAt: finishedAt, reply: reply,
      detail: detail.isEmpty ? [:] : ["detail": detail])
    let (store, order, machine, lease) = (runner.store, order, machine, lease)
    try await Deadline.$current.withValue(.now + Self.databaseLimit) {
      try await store.end(ending, of: order, machine, under: lease)
    }
    self.lease.lastSequence += unwritten.count
    unwritten = []
    PaymentMetrics.finished(record, after: runner.clock.now)
    PaymentLog.finished(record, detail, runner.logger)
    runner.board.complete(order.paymentID, CompletionBoard.Completion(state: state, reply: reply))
    try runner.failpoint(.written(self.lease.lastSequence))
  }

  // MARK: Attempts

  /// Attempts that were not written down count too. Those of a bounded step all are.
  private func attempt(_ directed: Int, _ step: Int) -> Int {
    machine.definition.steps[step].bound == .untilDecided ? max(directed, lease.attempts + 1) : directed
  }

  private func isRecorded(_ attempt: Int, _ step: Int) -> Bool {
    machine.definition.steps[step].bound != .untilDecided || Self.isRecorded(attempt)
  }

  /// A participant may be away for a day: of thousands of attempts that decide nothing, the log keeps the first ten and then
  /// those with a power of two for a number.
  private static func isRecorded(_ attempt: Int) -> Bool { attempt <= 10 || attempt & (attempt - 1) == 0 }
}

extension SagaEvent {
  /// True if the saga got on by it, so that the next contact is a first one.
  fileprivate var isProgress: Bool {
    switch self {
    case .resent, .compensationIntent, .inquired(_, _, .unknown): false
    default: !callsForPause
    }
  }
}

extension SagaVerdict {
  /// The payment's state, its reason, and the detail for people.
  var outcome: (state: PaymentRecord.State, reason: String, detail: String) {
    switch self {
    case .completed: (.completed, "", "")
    case .declined(let reason): (.declined, reason, "")
    case .compensated(let reason): (.compensated, reason, "")
    case .manual(let reason, let detail): (.manual, reason, detail)
    }
  }
}
