import SagaEngine

/// Does what the engine says, as the payment service does: an event, a call, an event. It may be stopped after any event.
struct TestDriver {
  /// The log. It survives every crash.
  var log: [SagaEvent] = [SagaStateMachine(started: TestAction.saga).startedEvent]
  private(set) var machine = SagaStateMachine(started: TestAction.saga)
  /// Crash when the log has this many events.
  var crashAt: Set<Int> = []
  private(set) var crashes = 0

  struct Crash: Error {}

  private mutating func write(_ event: SagaEvent) throws {
    try machine.apply(event)
    log.append(event)
    if crashAt.remove(log.count) != nil { throw Crash() }
  }

  /// Runs to the end, coming back from the log after each crash.
  mutating func run(_ world: inout TestWorld, fate: () -> TestWorld.Fate) throws -> SagaVerdict {
    for _ in 0..<10_000 {
      do {
        if case .rest(let verdict) = machine.next { return verdict }
        try step(&world, fate)
      } catch is Crash {
        crashes += 1
        machine = try TestAction.catalogue.replay(log)
      }
    }
    throw NeverEnds(log: log)
  }

  struct NeverEnds: Error { let log: [SagaEvent] }

  private mutating func step(_ world: inout TestWorld, _ fate: () -> TestWorld.Fate) throws {
    let steps = TestAction.saga.steps
    switch machine.next {
    case .perform(let step):
      try write(.intent(testIntent(step)))
      try write(.result(step: step, attempt: 1, world.call(steps[step].action, fate())))
    case .resend(let step, let attempt):
      try write(.resent(step: step, attempt: attempt))
      try write(.result(step: step, attempt: attempt, world.call(steps[step].action, fate())))
    case .ask(let step, let attempt):
      try write(.inquired(step: step, attempt: attempt, world.ask(steps[step].action, fate())))
    case .abandon(let step, let reason): try write(.abandoned(step: step, reason: reason))
    case .forbid(let step, let reason, let isWritten):
      if !isWritten { try write(.tombstoneIntent(step: step, reason: reason)) }
      try write(.tombstoneResult(step: step, world.forbid(steps[step].action, fate())))
    case .compensate(let step, let attempt):
      try write(.compensationIntent(step: step, attempt: attempt))
      guard let compensation = steps[step].compensation else { throw NeverEnds(log: log) }
      try write(.compensationResult(step: step, attempt: attempt, world.call(compensation, fate())))
    case .close(let verdict): try write(verdict.event)
    case .rest: break
    }
  }
}

/// What must hold of a finished saga, whatever happened on the way. Returns what does not.
func violations(_ verdict: SagaVerdict, _ world: TestWorld) -> [String] {
  var settled = world
  settled.settle()
  let effects = settled.effects
  var found: [String] = []
  if Set(effects).count != effects.count { found.append("something took effect twice: \(effects)") }
  let forward: [TestAction] = [.check, .takeA, .giveB, .tell, .release]
  let undo: [TestAction: TestAction] = [.takeA: .returnA, .giveB: .takeBackB, .tell: .untell]
  let done = forward.filter { effects.contains($0) }
  let undone = effects.filter { undo.values.contains($0) }
  let expectedUndo = done.reversed().compactMap { undo[$0] }
  switch verdict {
  case .completed:
    if effects != forward { found.append("completed with \(effects)") }
  case .declined:
    if !expectedUndo.isEmpty || !undone.isEmpty { found.append("declined, but \(effects) happened") }
  case .compensated:
    if undone != expectedUndo || undone.isEmpty { found.append("compensated with \(effects)") }
    if effects.contains(.release) { found.append("compensated after the pivot") }
  case .manual:
    if settled.refuses.isDisjoint(with: undo.values) && settled.chokesOn.isEmpty { found.append("manual without need") }
  }
  return found
}
