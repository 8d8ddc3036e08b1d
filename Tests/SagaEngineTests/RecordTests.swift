import Money
import SagaEngine
import Testing

@Suite("Rows of the log")
struct RecordTests {
  static let all: [SagaEvent] = [
    .started(definition: "test", version: 1), .intent(testIntent(0)), .intent(testIntent(1)), .resent(step: 1, attempt: 2),
    .result(step: 1, attempt: 2, .done), .result(step: 1, attempt: 2, .declined(reason: "no")),
    .result(step: 1, attempt: 2, .transient(detail: "t")), .result(step: 1, attempt: 2, .ambiguous(detail: "a")),
    .result(step: 1, attempt: 2, .bug(detail: "b")), .inquired(step: 1, attempt: 3, .done),
    .inquired(step: 1, attempt: 3, .declined(reason: "no")), .inquired(step: 1, attempt: 3, .unknown),
    .inquired(step: 1, attempt: 3, .forbidden), .inquired(step: 1, attempt: 3, .unanswered(detail: "u")),
    .abandoned(step: 3, reason: "r"), .tombstoneIntent(step: 3, reason: "r"), .tombstoneResult(step: 3, .forbidden),
    .compensationIntent(step: 1, attempt: 1), .compensationResult(step: 1, attempt: 1, .done),
    .compensationResult(step: 1, attempt: 1, .declined(reason: "no")), .completed, .declined(reason: "r"),
    .compensated(reason: "r"), .manual(reason: "r", detail: "d"),
  ]

  @Test("every event survives its row", arguments: all)
  func roundTrip(event: SagaEvent) throws {
    #expect(try SagaEventRecord(event).event(sequence: 1) == event)
  }

  @Test("a row that lacks what its event needs is undecodable, and says which row", arguments: all)
  func missingColumns(event: SagaEvent) throws {
    let whole = SagaEventRecord(event)
    var broken: [SagaEventRecord] = []
    if whole.step != nil { broken.append(change(whole) { $0.step = nil }) }
    if whole.outcome != nil { broken.append(change(whole) { $0.outcome = "later" }) }
    if whole.compensationID != nil { broken.append(change(whole) { $0.compensationID = nil }) }
    if whole.stepID != nil { broken.append(change(whole) { $0.stepID = nil }) }
    if whole.version != nil { broken.append(change(whole) { $0.version = nil }) }
    if whole.kind == "declined" || whole.kind == "abandoned" { broken.append(change(whole) { $0.reason = nil }) }
    broken.append(change(whole) { $0.kind = "from_the_future" })
    for record in broken {
      do throws(SagaHistoryError) {
        let event = try record.event(sequence: 7)
        Issue.record("decoded as \(event)")
      } catch {
        guard case .undecodable(sequence: 7, _) = error else {
          Issue.record("\(error)")
          continue
        }
      }
    }
  }

  private func change(_ record: SagaEventRecord, _ edit: (inout SagaEventRecord) -> Void) -> SagaEventRecord {
    var copy = record
    edit(&copy)
    return copy
  }

  @Test("a log with a missing row is refused")
  func gap() {
    let rows = [SagaEvent.started(definition: "test", version: 1), .intent(testIntent(0))].map { SagaEventRecord($0) }
    #expect(throws: SagaHistoryError.gap(expected: 2, found: 3)) {
      try TestAction.catalogue.replay(rows: [(1, rows[0]), (3, rows[1])])
    }
  }

  @Test("the names of actions, which stand in the log, are well formed")
  func names() {
    for action in TestAction.allCases {
      #expect((1...32).contains(action.name.utf8.count))
    }
  }

  @Test("back-off grows, is jittered, and never passes its cap")
  func backoff() {
    let seed = UInt64.random(in: 0..<1 << 48)
    print("Back-off: seed \(seed)")
    var generator = SplitMix64(seed: seed)
    let backoff = SagaBackoff(baseMilliseconds: 100, capMilliseconds: 5_000)
    for attempt in [0, 1, 2, 3, 6, 7, 50, 1_000_000] {
      let drawn = (0..<200).map { _ in backoff.milliseconds(after: attempt, using: &generator) }
      let ceiling: Int64 = attempt <= 1 ? 100 : min(5_000, 100 << Int64(min(attempt - 1, 20)))
      #expect(drawn.allSatisfy { (50...ceiling).contains($0) })
      #expect(Set(drawn).count > 10)
    }
  }
}
