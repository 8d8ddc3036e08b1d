import SagaEngine
import Testing

@Suite("A saga goes forward, or all the way back")
struct ForwardAndBackTests {
  private let forward: [TestAction] = [.check, .takeA, .giveB, .tell, .release]

  @Test("with willing participants every step is done once, in order")
  func happyPath() throws {
    var (driver, world) = (TestDriver(), TestWorld())
    #expect(try driver.run(&world) { .delivered } == .completed)
    #expect(world.effects == forward)
    #expect(driver.log.count == 1 + 2 * forward.count + 1)
  }

  @Test("each step declined in turn undoes exactly the steps before it, in reverse order", arguments: 0..<5)
  func eachStepDeclined(step: Int) throws {
    var (driver, world) = (TestDriver(), TestWorld(refuses: [forward[step]]))
    let verdict = try driver.run(&world) { .delivered }
    let reason = "refused_" + forward[step].name
    let undo: [[TestAction]] = [[], [], [.returnA], [.takeBackB, .returnA], [.untell, .takeBackB, .returnA]]
    #expect(world.effects == Array(forward[..<step]) + undo[step])
    #expect(verdict == (step < 2 ? .declined(reason: reason) : .compensated(reason: reason)))
    #expect(violations(verdict, world) == [])
  }

  @Test("each compensation refused in turn stops the saga for a person, and nothing more is undone", arguments: 0..<3)
  func eachCompensationRefused(index: Int) throws {
    let compensations: [TestAction] = [.untell, .takeBackB, .returnA]
    var (driver, world) = (TestDriver(), TestWorld(refuses: [.release, compensations[index]]))
    let verdict = try driver.run(&world) { .delivered }
    #expect(verdict == .manual(reason: "compensation_refused", detail: "refused_" + compensations[index].name))
    #expect(world.effects == Array(forward[..<4]) + compensations[..<index])
  }

  @Test("a request that its participant finds fault with stops the saga for a person", arguments: TestAction.allCases)
  func eachActionChokes(action: TestAction) throws {
    var world = TestWorld(refuses: [.release], chokesOn: [action])
    if action == .release { world.refuses = [] }
    var driver = TestDriver()
    #expect(try driver.run(&world) { .delivered } == .manual(reason: "bug", detail: "INVALID_ARGUMENT"))
  }

  @Test("a step that is tried until decided outlasts any absence of its participant")
  func longAbsence() throws {
    for fate in [TestWorld.Fate.refused, .lost, .replyLost] {
      var (driver, world, calls) = (TestDriver(), TestWorld(), 0)
      let verdict = try driver.run(&world) {
        calls += 1
        return (2...500).contains(calls) ? fate : .delivered
      }
      #expect(verdict == .completed, "\(fate)")
      #expect(violations(verdict, world) == [])
    }
  }

  @Test("a bounded step that certainly never arrived is abandoned without a tombstone, and compensated")
  func abandoned() throws {
    var (driver, world) = (TestDriver(), TestWorld())
    let verdict = try run(&driver, &world, fateOfTell: .refused)
    #expect(verdict == .compensated(reason: "retry_bound_passed"))
    #expect(driver.log.contains(.abandoned(step: 3, reason: "retry_bound_passed")))
    #expect(world.decisions[.tell] == nil)
    #expect(world.effects == [.check, .takeA, .giveB, .takeBackB, .returnA])
  }

  @Test("a bounded step that may have arrived is forbidden first; the late original is refused")
  func tombstoneBeforeTheOriginal() throws {
    var (driver, world) = (TestDriver(), TestWorld())
    let verdict = try run(&driver, &world, fateOfTell: .delayed)
    #expect(verdict == .compensated(reason: "retry_bound_passed"))
    #expect(world.decisions[.tell] == .forbidden)
    #expect(!world.underWay.isEmpty)
    #expect(violations(verdict, world) == [])
  }

  @Test("a bounded step that turns out to have taken effect when it is forbidden is undone, once")
  func tombstoneAfterTheOriginal() throws {
    var (driver, world) = (TestDriver(), TestWorld())
    let verdict = try run(&driver, &world, fateOfTell: .replyLost)
    #expect(verdict == .compensated(reason: "retry_bound_passed"))
    #expect(world.effects == [.check, .takeA, .giveB, .tell, .untell, .takeBackB, .returnA])
  }

  /// Everything is delivered but the calls and questions about `tell`, until it is forbidden.
  private func run(_ driver: inout TestDriver, _ world: inout TestWorld, fateOfTell: TestWorld.Fate) throws -> SagaVerdict {
    var calls = 0
    return try driver.run(&world) {
      calls += 1
      return (4..<10).contains(calls) ? (calls == 4 || fateOfTell == .refused ? fateOfTell : .lost) : .delivered
    }
  }
}
