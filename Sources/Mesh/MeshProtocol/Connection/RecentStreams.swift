internal import DequeModule

/// The last few streams of a kind; the oldest make room for new ones.
struct RecentStreams: Sendable {
  private let capacity: Int
  private var order: Deque<UInt32> = []
  private var members: Set<UInt32> = []

  init(capacity: Int = 1) { self.capacity = max(1, capacity) }

  func contains(_ stream: UInt32) -> Bool { members.contains(stream) }

  mutating func insert(_ stream: UInt32) {
    guard members.insert(stream).inserted else { return }
    order.append(stream)
    while members.count > capacity || order.count > 2 * capacity {
      guard let oldest = order.popFirst() else { return }
      members.remove(oldest)
    }
  }

  /// Its place in the order stays until its turn comes, which bounds `order` at twice the capacity.
  mutating func remove(_ stream: UInt32) { members.remove(stream) }
}
