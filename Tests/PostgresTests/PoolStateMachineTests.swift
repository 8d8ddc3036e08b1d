import Postgres
import Testing

private typealias Machine = PoolStateMachine<Int, Int>

@Suite("The pool's state machine") struct PoolStateMachineTests {
  private let start = ContinuousClock.now
  private func machine(size: Int = 2, waiting: Int = 3) -> Machine {
    Machine(limits: .init(size: size, waiting: waiting, backoff: .milliseconds(100) ... .milliseconds(800)))
  }
  private func lease(_ connection: Int) -> Machine.Lease { .init(connection: connection, expires: start + .seconds(60)) }
  private func limit(_ seconds: Int = 5) -> ContinuousClock.Instant { start + .seconds(seconds) }

  @Test("The first caller opens a connection, gets it, and leaves it for the next")
  func firstCaller() {
    var machine = machine()
    #expect(machine.leaseIdle(now: start) == nil)
    #expect(machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0.5).open == [.zero])
    let effects = machine.connectionOpened(lease(7), now: start, jitter: 0.5)
    #expect(effects.hand?.waiter == 1)
    #expect(effects.hand?.lease.connection == 7)
    #expect(machine.leaseIdle(now: start) == nil)
    #expect(machine.released(lease(7), usable: true, now: start, jitter: 0.5).close == [])
    #expect(machine.leaseIdle(now: start)?.connection == 7)
  }

  @Test("Callers beyond the size wait, beyond the waiting limit are refused, and are served in their order")
  func order() {
    var machine = machine(size: 1, waiting: 2)
    #expect(machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0).open.count == 1)
    _ = machine.connectionOpened(lease(7), now: start, jitter: 0)
    #expect(machine.waiterArrived(2, 2, until: limit(), now: start, jitter: 0).open == [])
    #expect(machine.waiterArrived(3, 3, until: limit(), now: start, jitter: 0).open == [])
    #expect(machine.waiterArrived(4, 4, until: limit(), now: start, jitter: 0).refuse.first?.error.code == .poolExhausted)
    #expect(machine.released(lease(7), usable: true, now: start, jitter: 0).hand?.waiter == 2)
    // Nobody overtakes a waiter.
    #expect(machine.leaseIdle(now: start) == nil)
    #expect(machine.released(lease(7), usable: true, now: start, jitter: 0).hand?.waiter == 3)
  }

  @Test("Failed connects are repeated one at a time, with pauses that double up to the bound, and the reason is told")
  func backoff() {
    var machine = machine(size: 3)
    #expect(machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0.5).open == [.zero])
    #expect(machine.waiterArrived(2, 2, until: limit(), now: start, jitter: 0.5).open == [.zero])
    let down = PostgresError(.unreachable, "down")
    #expect(machine.openFailed(down, now: start, jitter: 0.5).open == [])
    for pause in [200, 400, 800, 800] {
      #expect(machine.openFailed(down, now: start, jitter: 0.5).open == [.milliseconds(pause)])
    }
    #expect(machine.exhausted("x") == down)
    #expect(machine.waiterLeft(1) == 1)
    #expect(machine.waiterLeft(1) == nil)
    let effects = machine.connectionOpened(lease(7), now: start, jitter: 0.5)
    #expect(effects.hand?.waiter == 2)
    #expect(machine.exhausted("x").code == .poolExhausted)
  }

  @Test("A server that refuses us is reported to all who wait, at once")
  func refused() {
    var machine = machine()
    _ = machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0)
    _ = machine.waiterArrived(2, 2, until: limit(), now: start, jitter: 0)
    let effects = machine.openFailed(PostgresError(.refused, "no"), now: start, jitter: 0)
    #expect(effects.refuse.map(\.waiter) == [1, 2])
    #expect(machine.counts.waiting == 0)
  }

  @Test("Connections past their lifetime, broken or suspected are closed, never handed out")
  func closing() {
    var machine = machine()
    _ = machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0)
    _ = machine.connectionOpened(lease(7), now: start, jitter: 0)
    #expect(machine.released(lease(7), usable: false, now: start, jitter: 0).close == [7])
    _ = machine.waiterArrived(2, 2, until: limit(), now: start, jitter: 0)
    _ = machine.connectionOpened(lease(8), now: start, jitter: 0)
    #expect(machine.released(lease(8), usable: true, now: start + .seconds(61), jitter: 0).close == [8])
    _ = machine.waiterArrived(3, 3, until: limit(), now: start, jitter: 0)
    _ = machine.connectionOpened(lease(9), now: start, jitter: 0)
    _ = machine.released(lease(9), usable: true, now: start, jitter: 0)
    #expect(machine.maintenanceDue(checkAfter: .seconds(5), now: start + .seconds(1)).examine.isEmpty)
    #expect(machine.maintenanceDue(checkAfter: .seconds(5), now: start + .seconds(6)).examine.map(\.connection) == [9])
    _ = machine.released(lease(9), usable: true, now: start + .seconds(6), jitter: 0)
    #expect(machine.leaseIdle(now: start + .seconds(61)) == nil)
    #expect(machine.connectionsSuspected().close == [9])
    #expect(machine.counts == (0, 0, 0, 0))
  }

  @Test("Closing refuses everybody and is over when the last connection is back")
  func shutdown() {
    var machine = machine(size: 1)
    _ = machine.waiterArrived(1, 1, until: limit(), now: start, jitter: 0)
    _ = machine.connectionOpened(lease(7), now: start, jitter: 0)
    _ = machine.waiterArrived(2, 2, until: limit(), now: start, jitter: 0)
    let effects = machine.closeRequested()
    #expect(effects.refuse.map(\.error.code) == [.poolClosed])
    #expect(!effects.drained)
    #expect(machine.waiterArrived(3, 3, until: limit(), now: start, jitter: 0).refuse.map(\.error.code) == [.poolClosed])
    let last = machine.released(lease(7), usable: true, now: start, jitter: 0)
    #expect(last.close == [7])
    #expect(last.drained)
  }

  @Test("Whatever happens in whatever order, the bounds hold and nobody is forgotten")
  func randomized() {
    for _ in 0..<200 {
      let seed = UInt64.random(in: .min ... .max)
      var generator = SplitMix(state: seed)
      var machine = machine(size: 3, waiting: 4)
      var now = start
      var opening = 0
      var held: [Machine.Lease] = []
      var waiting: Set<Int> = []
      var open: Set<Int> = []
      var next = 0
      func take(_ effects: Machine.Effects) {
        for refusal in effects.refuse { #expect(waiting.remove(refusal.waiter) != nil, "seed \(seed)") }
        if let hand = effects.hand {
          #expect(waiting.remove(hand.waiter) != nil, "seed \(seed)")
          #expect(open.contains(hand.lease.connection), "seed \(seed)")
          held.append(hand.lease)
        }
        opening += effects.open.count
        for connection in effects.close { #expect(open.remove(connection) != nil, "closed twice, seed \(seed)") }
      }
      for _ in 0..<300 {
        now += .milliseconds(Int.random(in: 0...2000, using: &generator))
        let jitter = Double.random(in: 0...1, using: &generator)
        switch Int.random(in: 0..<9, using: &generator) {
        case 0...2:
          if let lease = machine.leaseIdle(now: now) {
            #expect(open.contains(lease.connection), "seed \(seed)")
            held.append(lease)
          } else {
            next += 1
            waiting.insert(next)
            take(machine.waiterArrived(UInt64(next), next, until: now + .seconds(1), now: now, jitter: jitter))
          }
        case 3...4 where opening > 0:
          opening -= 1
          next += 1
          open.insert(next)
          take(machine.connectionOpened(.init(connection: next, expires: now + .seconds(20)), now: now, jitter: jitter))
        case 5 where opening > 0:
          opening -= 1
          take(machine.openFailed(PostgresError(Bool.random(using: &generator) ? .unreachable : .refused, ""), now: now, jitter: jitter))
        case 6 where !held.isEmpty:
          let lease = held.remove(at: Int.random(in: 0..<held.count, using: &generator))
          take(machine.released(lease, usable: Int.random(in: 0..<5, using: &generator) > 0, now: now, jitter: jitter))
        case 7:
          if let waiter = waiting.randomElement(using: &generator), machine.waiterLeft(UInt64(waiter)) != nil { waiting.remove(waiter) }
        case 8:
          let due = machine.maintenanceDue(checkAfter: .seconds(3), now: now)
          take(due.effects)
          held += due.examine
        default: take(machine.connectionsSuspected())
        }
        let counts = machine.counts
        #expect(counts.idle + counts.leased + counts.opening <= 3, "seed \(seed)")
        #expect(counts.waiting == waiting.count && counts.waiting <= 4, "seed \(seed)")
        #expect(counts.opening == opening && counts.leased == held.count, "seed \(seed)")
        #expect(open.count == counts.idle + counts.leased, "seed \(seed)")
        // Who waits, waits for something.
        #expect(waiting.isEmpty || opening + held.count > 0, "a waiter is forgotten, seed \(seed)")
      }
    }
  }
}

/// A small generator that a seed repeats (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
