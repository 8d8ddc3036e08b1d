import Testing

@testable import MeshProtocol

@Suite("Bounds and budgets")
struct BoundsTests {
  @Test("a rate bound admits its burst, then one each interval, whatever the pattern")
  func rateBound() {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let burst = Int.random(in: 1...20, using: &generator)
      var bound = RateBound(burst: burst, interval: .milliseconds(10))
      let start = ContinuousClock.now
      var now = start
      var admitted = 0
      for _ in 0..<500 {
        now += .microseconds(Int.random(in: 0...12_000, using: &generator))
        if bound.admits(at: now) { admitted += 1 }
      }
      let most = burst + Int((now - start) / .milliseconds(10))
      #expect(admitted <= most)
      #expect(admitted >= min(500, most) / 2)
    }
  }

  @Test("a retry budget lets ten retries through, then one for every ten successes")
  func retryBudget() {
    var budget = RetryBudget()
    func takes() -> Bool { budget.takesRetry() }
    for _ in 0..<10 { #expect(takes()) }
    #expect(!takes())
    for _ in 0..<9 { budget.callSucceeded() }
    #expect(!takes())
    budget.callSucceeded()
    #expect(takes())
    #expect(!takes())
    for _ in 0..<1000 { budget.callSucceeded() }
    for _ in 0..<10 { #expect(takes()) }
    #expect(!takes())
  }

  @Test("back-off is anywhere between nothing and a ceiling that doubles and ends")
  func backoff() {
    var generator = SeededGenerator(seed: 7)
    let backoff = Backoff(base: .milliseconds(100), maximum: .seconds(1))
    for attempt in 1...60 {
      let ceiling = min(Duration.seconds(1), .milliseconds(100) * (1 << min(attempt - 1, 10)))
      let waits = (0..<100).map { _ in backoff.wait(attempt: attempt, using: &generator) }
      #expect(waits.allSatisfy { $0 >= .zero && $0 <= ceiling })
      #expect(Set(waits).count > 90)
    }
  }

  @Test("streams that are remembered make room for newer ones")
  func recentStreams() {
    var recent = RecentStreams(capacity: 3)
    for id in [1, 3, 5, 7] as [UInt32] { recent.insert(id) }
    #expect(!recent.contains(1))
    #expect(recent.contains(3) && recent.contains(5) && recent.contains(7))
    recent.remove(5)
    recent.insert(9)
    #expect(recent.contains(3) && recent.contains(7) && recent.contains(9))
    for id in 10..<1000 as Range<UInt32> {
      recent.insert(id)
      recent.remove(id)
    }
    #expect(!recent.contains(999))
  }
}
