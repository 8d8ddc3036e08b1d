import Money
import SagaEngine
import Testing

@Suite("An illegal history is a typed error")
struct IllegalHistoryTests {
  private let started = SagaEvent.started(definition: "test", version: 1)

  private func error(_ events: [SagaEvent]) -> SagaHistoryError? {
    do throws(SagaHistoryError) {
      _ = try TestAction.catalogue.replay(events)
      return nil
    } catch { return error }
  }

  @Test("an empty log, one that does not start, one that starts twice")
  func beginnings() {
    #expect(error([]) == .empty)
    #expect(error([.completed]) == .notStarted)
    #expect(error([started, started]) == .startedTwice)
  }

  @Test("a definition that this build does not know")
  func unknownDefinition() {
    #expect(error([.started(definition: "test", version: 2)]) == .unknownDefinition(name: "test", version: 2))
    #expect(error([.started(definition: "other", version: 1)]) == .unknownDefinition(name: "other", version: 1))
  }

  @Test("anything after the end")
  func afterTheEnd() {
    #expect(error([started, .manual(reason: "r", detail: ""), .completed]) == .afterTheEnd)
  }

  @Test("a step that does not exist")
  func unknownStep() {
    #expect(error([started, .resent(step: 5, attempt: 2)]) == .unknownStep(5))
    #expect(error([started, .resent(step: -1, attempt: 2)]) == .unknownStep(-1))
  }

  @Test("an intent whose frozen compensation does not fit the declaration")
  func compensationMismatch() {
    let check = SagaIntent(
      step: 0, id: testID(.check), request: [], compensation: SagaCompensation(id: testID(.returnA), request: []))
    #expect(error([started, .intent(check)]) == .compensationMismatch(step: 0))
    let bare = SagaIntent(step: 1, id: testID(.takeA), request: [], compensation: nil)
    let events: [SagaEvent] = [started, .intent(testIntent(0)), .result(step: 0, attempt: 1, .done), .intent(bare)]
    #expect(error(events) == .compensationMismatch(step: 1))
  }

  @Test("attempts of a bounded step that are not announced one by one")
  func boundedAttempts() throws {
    var events = [started]
    for step in 0..<3 { events += [.intent(testIntent(step)), .result(step: step, attempt: 1, .done)] }
    events += [.intent(testIntent(3)), .result(step: 3, attempt: 1, .transient(detail: ""))]
    #expect(error(events) == nil)
    #expect(error(events + [.resent(step: 3, attempt: 3)]) == .attemptOutOfOrder(step: 3, attempt: 3, expected: 2))
    guard case .illegal = error(events + [.result(step: 3, attempt: 2, .done)]) else {
      Issue.record("a result without its intent was taken")
      return
    }
  }

  @Test("attempts of an unbounded step may be announced sparsely, but never go back")
  func unboundedAttempts() {
    let events: [SagaEvent] = [started, .intent(testIntent(0)), .result(step: 0, attempt: 1, .transient(detail: ""))]
    #expect(error(events + [.resent(step: 0, attempt: 16)]) == nil)
    #expect(error(events + [.result(step: 0, attempt: 71, .done)]) == nil)
    #expect(error(events + [.resent(step: 0, attempt: 1)]) == .attemptOutOfOrder(step: 0, attempt: 1, expected: 2))
    #expect(error(events + [.result(step: 0, attempt: 1, .done)]) == .attemptOutOfOrder(step: 0, attempt: 1, expected: 2))
  }

  /// One event of each kind for each step, good and bad.
  private var vocabulary: [SagaEvent] {
    var all: [SagaEvent] = [.completed, .declined(reason: "x"), .compensated(reason: "x"), started]
    for step in 0..<5 {
      all.append(.intent(testIntent(step)))
      for attempt in 1...2 {
        all.append(.resent(step: step, attempt: attempt))
        all += [SagaOutcome.done, .declined(reason: "x"), .transient(detail: ""), .ambiguous(detail: "")].map {
          .result(step: step, attempt: attempt, $0)
        }
        all += [SagaFinding.done, .declined(reason: "x"), .unknown, .forbidden, .unanswered(detail: "")].map {
          .inquired(step: step, attempt: attempt, $0)
        }
        all.append(.compensationIntent(step: step, attempt: attempt))
        all += [SagaOutcome.done, .declined(reason: "x"), .transient(detail: "")].map {
          .compensationResult(step: step, attempt: attempt, $0)
        }
      }
      all += [.abandoned(step: step, reason: "x"), .tombstoneIntent(step: step, reason: "x"), .tombstoneResult(step: step, .forbidden)]
    }
    return all
  }

  @Test("random sequences of events are taken or refused, and a refused one leaves the machine as it was")
  func randomEvents() throws {
    let seed = UInt64.random(in: 0..<1 << 48)
    print("SagaEngine random events: seed \(seed)")
    var generator = SplitMix64(seed: seed)
    let vocabulary = vocabulary
    var refused = 0
    var taken = 0
    for _ in 0..<300 {
      var machine = SagaStateMachine(started: TestAction.saga)
      for _ in 0..<300 {
        guard let event = vocabulary.randomElement(using: &generator) else { return }
        let before = machine
        do {
          try machine.apply(event)
          taken += 1
          #expect(machine.eventCount == before.eventCount + 1)
        } catch {
          refused += 1
          #expect(machine == before)
        }
        // No order of events may let a later step begin before all earlier ones are done.
        if let begun = (0..<5).last(where: { machine.state(of: $0) != .untouched }) {
          for earlier in 0..<begun {
            #expect(machine.state(of: earlier) == .done || machine.state(of: earlier) == .undone, "seed \(seed)")
          }
        }
      }
    }
    #expect(refused > 1_000 && taken > 300)
  }
}
