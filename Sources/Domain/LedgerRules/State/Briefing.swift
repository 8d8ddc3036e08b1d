public import Money

/// Ids that have to be looked up before a batch is decided.
public struct Unknowns: Sendable, Hashable {
  public var transfers: Set<UUID128> = []
  public var events: Set<UUID128> = []

  public init() {}

  public var isEmpty: Bool { transfers.isEmpty && events.isEmpty }
}

/// What the database knows of them.
public struct Briefing: Sendable, Hashable {
  public var transfers: [UUID128: TransferFact] = [:]
  public var events: [UUID128: AccountEventFact] = [:]

  public init() {}
}
