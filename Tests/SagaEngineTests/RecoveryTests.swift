import SagaEngine
import Testing

@Suite("A saga is its log")
struct RecoveryTests {
  /// Every combination of one refused step, one refused compensation, and one fate for the calls of one step.
  static var scenarios: [(world: TestWorld, bad: TestWorld.Fate, at: Int)] {
    var all: [(TestWorld, TestWorld.Fate, Int)] = []
    let steps: [TestAction?] = [nil, .check, .takeA, .giveB, .tell, .release]
    let compensations: [TestAction?] = [nil, .returnA, .takeBackB, .untell]
    for step in steps {
      for compensation in compensations where step != nil || compensation == nil {
        for fate in TestWorld.Fate.allCases {
          for at in 1...8 { all.append((TestWorld(refuses: Set([step, compensation].compactMap { $0 })), fate, at)) }
        }
      }
    }
    return all
  }

  @Test("replaying any prefix of any history gives the directive that was given then")
  func everyPrefix() throws {
    for (start, bad, at) in Self.scenarios {
      var (driver, world, calls) = (TestDriver(), start, 0)
      _ = try driver.run(&world) {
        calls += 1
        return calls == at ? bad : .delivered
      }
      var stepwise = SagaStateMachine(started: TestAction.saga)
      for length in 1...driver.log.count {
        if length > 1 { try stepwise.apply(driver.log[length - 1]) }
        let replayed = try TestAction.catalogue.replay(driver.log[..<length])
        #expect(replayed.next == stepwise.next)
        #expect(replayed == stepwise)
      }
    }
  }

  @Test("a crash after any event of any history changes neither the verdict nor the effects")
  func crashAtEveryBoundary() throws {
    var crashes = 0
    for (start, bad, at) in Self.scenarios {
      func fates() -> () -> TestWorld.Fate {
        var calls = 0
        return {
          calls += 1
          return calls == at ? bad : .delivered
        }
      }
      var (undisturbed, reference) = (TestDriver(), start)
      let verdict = try undisturbed.run(&reference, fate: fates())
      for boundary in 2...undisturbed.log.count {
        var (driver, world) = (TestDriver(), start)
        driver.crashAt = [boundary]
        let fate = fates()
        let afterCrash = try driver.run(&world, fate: fate)
        crashes += driver.crashes
        #expect(violations(afterCrash, world) == [], "crash at \(boundary), call \(at) \(bad): \(driver.log)")
        // One lost call and one crash are within every bound, so both runs must end alike.
        #expect(afterCrash == verdict, "crash at \(boundary), call \(at) \(bad): \(driver.log)")
      }
    }
    #expect(crashes > 1_000)
  }

  @Test("no schedule of crashes, losses, delays and refusals breaks the saga's word")
  func randomSchedules() throws {
    let first = UInt64.random(in: 0..<1 << 48)
    print("SagaEngine random schedules: seeds \(first)..<\(first + 3_000)")
    var fates: [TestWorld.Fate: Int] = [:]
    var verdicts: [String: Int] = [:]
    for seed in first..<first + 3_000 {
      var generator = SplitMix64(seed: seed)
      var (driver, world) = (TestDriver(), TestWorld())
      for action in TestAction.allCases where generator.chance(8) { world.refuses.insert(action) }
      driver.crashAt = Set((0..<Int.random(in: 0...6, using: &generator)).map { _ in Int.random(in: 2...30, using: &generator) })
      let calm = Int.random(in: 20...95, using: &generator)
      let fateSeed = generator.next()
      var fateGenerator = SplitMix64(seed: fateSeed)
      let verdict = try driver.run(&world) {
        fateGenerator.chance(calm) ? .delivered : TestWorld.Fate.allCases.randomElement(using: &fateGenerator) ?? .lost
      }
      #expect(violations(verdict, world) == [], "seed \(seed): \(verdict) after \(driver.log)")
      #expect(try TestAction.catalogue.replay(driver.log).verdict == verdict, "seed \(seed)")
      for (fate, count) in world.fates { fates[fate, default: 0] += count }
      verdicts[String("\(verdict)".prefix { $0 != "(" }), default: 0] += 1
    }
    for fate in TestWorld.Fate.allCases { #expect(fates[fate, default: 0] >= 1_000, "\(fate) was hardly tried") }
    for verdict in ["completed", "declined", "compensated", "manual"] { #expect(verdicts[verdict, default: 0] > 20, "\(verdicts)") }
  }
}
