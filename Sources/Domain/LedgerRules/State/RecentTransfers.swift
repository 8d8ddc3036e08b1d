internal import Money

/// All decided postings with an id from `horizonMilliseconds` on.
///
/// Ids are time-ordered, so the window is one of id time: an id at or after the horizon that is not here was never decided, and
/// needs no look-up. An older one has to be looked up in the database. Bounded: past its capacity, the oldest seconds leave.
struct RecentTransfers {
  private(set) var facts: [UUID128: TransferFact] = [:]
  private(set) var horizonMilliseconds: Int64
  private let capacity: Int
  /// Ids by the second that they were made in: what to forget first.
  private var seconds: [Int64: [UUID128]] = [:]

  init(capacity: Int, horizonMilliseconds: Int64) {
    self.capacity = capacity
    self.horizonMilliseconds = horizonMilliseconds
  }

  func covers(_ id: UUID128) -> Bool { id.timestampMilliseconds >= horizonMilliseconds }

  subscript(id: UUID128) -> TransferFact? { facts[id] }

  mutating func set(_ id: UUID128, _ fact: TransferFact) {
    if facts.updateValue(fact, forKey: id) == nil { seconds[id.timestampMilliseconds / 1000, default: []].append(id) }
  }

  mutating func remove(_ id: UUID128) {
    guard facts.removeValue(forKey: id) != nil else { return }
    let second = id.timestampMilliseconds / 1000
    // From the end: what is removed was added last.
    if let index = seconds[second]?.lastIndex(of: id) { seconds[second]?.remove(at: index) }
  }

  /// Forgets whole seconds, oldest first, until a quarter of the capacity is free again.
  mutating func shrink() {
    guard facts.count > capacity else { return }
    for second in seconds.keys.sorted() {
      for id in seconds.removeValue(forKey: second) ?? [] { facts.removeValue(forKey: id) }
      horizonMilliseconds = max(horizonMilliseconds, (second + 1) * 1000)
      if facts.count <= capacity - capacity / 4 { break }
    }
  }
}
