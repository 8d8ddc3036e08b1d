/// Every version of every saga that this build can run. Old versions stay in it for as long as a saga of theirs may be open.
public struct SagaCatalogue<Action: SagaAction>: Sendable {
  private let definitions: [SagaDefinition<Action>]

  public init(_ definitions: [SagaDefinition<Action>]) {
    self.definitions = definitions
    let keys = definitions.map { "\($0.name) \($0.version)" }
    precondition(Set(keys).count == keys.count, "a saga version is declared twice")
  }

  /// The definition that a saga is pinned to.
  public func definition(_ name: String, version: Int) -> SagaDefinition<Action>? {
    definitions.first { $0.name == name && $0.version == version }
  }

  /// Rebuilds a saga from its log.
  /// - Throws: `SagaHistoryError` for a history that is none, or that this build does not understand: quarantine it.
  public func replay(_ events: some Sequence<SagaEvent>) throws(SagaHistoryError) -> SagaStateMachine<Action> {
    var iterator = events.makeIterator()
    guard let first = iterator.next() else { throw .empty }
    guard case .started(let name, let version) = first else { throw .notStarted }
    guard let definition = definition(name, version: version) else { throw .unknownDefinition(name: name, version: version) }
    var machine = SagaStateMachine(started: definition)
    while let event = iterator.next() { try machine.apply(event) }
    return machine
  }

  /// Rebuilds a saga from its numbered rows, which must be 1, 2, 3, … without a gap.
  public func replay(rows: [(sequence: Int, record: SagaEventRecord)]) throws(SagaHistoryError) -> SagaStateMachine<Action> {
    var events: [SagaEvent] = []
    for (index, row) in rows.enumerated() {
      guard row.sequence == index + 1 else { throw .gap(expected: index + 1, found: row.sequence) }
      events.append(try row.record.event(sequence: row.sequence))
    }
    return try replay(events)
  }
}
