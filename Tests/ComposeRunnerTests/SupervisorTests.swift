import Foundation
import Glibc
import Testing

@testable import ComposeRunner

/// The real supervisor, guardian and control socket, over small real processes.
@Suite(.serialized) struct SupervisorTests {
  @Test("up starts everything and waits for health, a second up changes nothing, down leaves nothing, a second down is content")
  func upAndDown() throws {
    let project = try TestProject(
      """
      services:
        first:
          healthcheck: {test: [CMD, test, -e, ROOT/ready], interval: 1s, retries: 100}
          x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 0.2; touch ROOT/ready; sleep 1000"]}
        second:
          depends_on: {first: {condition: service_healthy}}
          x-florin: {kind: process, executable: sh, arguments: [-c, "ls ROOT/ready && sleep 1000"]}
      """)
    #expect(try project.start())
    try ProjectLifecycle.waitUntilUp(project.client, timeout: .seconds(60), onChange: { _ in })
    let before = try #require(try project.client.status())
    #expect(before.service("first")?.health == "healthy")
    #expect(before.service("second")?.restarts == 0)
    #expect(SupervisorStatus.read(project.directory)?.service("second")?.pid == before.service("second")?.pid)

    #expect(try project.start() == false)
    try ProjectLifecycle.waitUntilUp(project.client, timeout: .seconds(60), onChange: { _ in })
    let after = try #require(try project.client.status())
    #expect(after.supervisor == before.supervisor)
    #expect(after.services.map(\.pid) == before.services.map(\.pid))

    #expect(try project.down())
    #expect(project.running == [])
    #expect(SupervisorStatus.read(project.directory)?.phase == .stopped)
    #expect(try project.down() == false)
    #expect(try project.client.status() == nil)
  }

  @Test("a killed process is restarted if its policy says so, and not otherwise")
  func restarts() throws {
    let project = try TestProject(
      """
      services:
        again:
          restart: on-failure
          x-florin: {kind: process, executable: sleep, arguments: ["1000", "1000"]}
        once: {x-florin: {kind: process, executable: sleep, arguments: ["1000", "1000"]}}
      """)
    try project.up()
    for round in 1...3 {
      let pid = try project.pid("again")
      #expect(kill(pid, SIGKILL) == 0)
      #expect(try TestProject.eventually { try project.service("again").restarts == round && project.service("again").state == "running" })
      #expect(try project.pid("again") != pid)
    }
    #expect(kill(try project.pid("once"), SIGKILL) == 0)
    #expect(try TestProject.eventually { try project.service("once").state == "exited" })
    #expect(try project.service("once").lastExit == "SIGKILL")
    try project.down()
  }

  @Test("kill, start, stop and restart do what they say to the one service they name")
  func commands() throws {
    let project = try TestProject(
      """
      services:
        app:
          restart: always
          x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 1000; : ROOT"]}
        other: {x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 1000; : ROOT"]}}
      """)
    try project.up()
    let other = try project.pid("other")
    try project.client.kill(["app"], signal: Signal(number: SIGKILL))
    #expect(try TestProject.eventually { try project.service("app").state == "exited" })
    #expect(throws: RunnerError.self) { try project.client.kill(["app"], signal: Signal(number: SIGKILL)) }
    try project.client.start(["app"])
    #expect(try TestProject.eventually { try project.service("app").isUp })
    let pid = try project.pid("app")
    try project.client.restart(["app"])
    #expect(try TestProject.eventually { try project.service("app").isUp && project.service("app").pid != pid })
    try project.client.stop(["app"])
    #expect(try TestProject.eventually { try project.service("app").state == "exited" })
    #expect(try project.pid("other") == other)
    let unknown = #expect(throws: RunnerError.self) { try project.client.start(["nobody"]) }
    #expect(unknown?.message.contains("app, other") == true)
    try project.down()
    #expect(project.running == [])
  }

  @Test("a supervisor that is killed leaves nothing: not what ignores TERM, not what is stopped, not what its children started")
  func killedSupervisorLeavesNothing() throws {
    for round in 1...3 {
      let project = try TestProject(
        """
        services:
          plain: {x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 1000; : ROOT"]}}
          deaf:
            stop_grace_period: 1s
            x-florin: {kind: process, executable: sh, arguments: [-c, "trap '' TERM; while true; do sleep 1; done; : ROOT"]}
          stopped:
            stop_grace_period: 1s
            x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 1000; : ROOT"]}
          parent:
            stop_grace_period: 1s
            x-florin: {kind: process, executable: sh, arguments: [-c, "sh -c 'sleep 1000; : ROOT' & exec sleep 1000"]}
        """)
      try project.up()
      #expect(kill(try project.pid("stopped"), SIGSTOP) == 0)
      let status = try #require(try project.client.status())
      #expect(status.processes.contains { $0.role == "guardian" })
      #expect(project.running.count >= 6, "round \(round)")
      #expect(kill(status.supervisor.pid, SIGKILL) == 0)
      #expect(TestProject.eventually { project.running.isEmpty }, "round \(round): \(project.running)")

      // And it is not in the way of the next.
      try project.up()
      try project.down()
      #expect(project.running == [])
    }
  }

  @Test("with its guardian killed too, down still finds and ends what is left")
  func sweepsWithoutGuardian() throws {
    let project = try TestProject(
      """
      services:
        deaf:
          stop_grace_period: 1s
          x-florin: {kind: process, executable: sh, arguments: [-c, "trap '' TERM; while true; do sleep 1; done; : ROOT"]}
      """)
    try project.up()
    let status = try #require(try project.client.status())
    let guardian = try #require(status.processes.first { $0.role == "guardian" })
    // Stopped first, the supervisor cannot make a new guardian.
    #expect(kill(status.supervisor.pid, SIGSTOP) == 0)
    #expect(kill(guardian.process.pid, SIGKILL) == 0)
    #expect(kill(status.supervisor.pid, SIGKILL) == 0)
    #expect(try project.down())
    #expect(project.running == [])
  }

  @Test("a guardian that is killed is replaced")
  func replacesGuardian() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sh, arguments: [-c, \"sleep 1000; : ROOT\"]}}}")
    try project.up()
    func guardian() throws -> ProcessIdentity? { try project.client.status()?.processes.first { $0.role == "guardian" }?.process }
    let first = try #require(try guardian())
    #expect(kill(first.pid, SIGKILL) == 0)
    #expect(try TestProject.eventually { try guardian().map { $0 != first } ?? false })
    try project.down()
    #expect(project.running == [])
  }

  @Test("a process that watches its lifeline sees it end when the supervisor is killed")
  func cutsLifeline() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sh}}}")
    var plan = try project.plan()
    let script = "echo ready > \(project.root)/ready; read line <&3; echo $* > \(project.root)/ended; exec sleep 1000"
    plan.services[0].process = ProcessPlan(
      executable: "/bin/sh", arguments: ["-c", script, "name"], environment: ["PATH": "/usr/bin:/bin"], takesLifeline: true, deathSignal: 0)
    _ = try ProjectLifecycle.start(plan, programs: TestProject.programs, attached: false)
    #expect(TestProject.eventually { FileManager.default.fileExists(atPath: project.root + "/ready") })
    let status = try #require(try project.client.status())
    #expect(kill(status.supervisor.pid, SIGKILL) == 0)
    #expect(TestProject.eventually { (try? String(contentsOfFile: project.root + "/ended", encoding: .utf8)) == "--lifeline-fd 3\n" })
    try project.down()
  }

  @Test("what was started for one client ends with that client")
  func endsWithOwner() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sh, arguments: [-c, \"sleep 1000; : ROOT\"]}}}")
    try project.start(attached: true)
    let attachment = try project.client.attach()
    try ProjectLifecycle.waitUntilUp(project.client, timeout: .seconds(60), onChange: { _ in })
    #expect(project.running.count >= 2)
    attachment.end()
    #expect(TestProject.eventually { project.running.isEmpty }, "\(project.running)")
  }

  @Test("a children's process group ends with its leader")
  func groupsEndTogether() throws {
    let project = try TestProject(
      """
      services: {app: {x-florin: {kind: process, executable: sh, arguments: [-c, "sh -c 'sleep 1000; : ROOT' & sleep 0.3"]}}}
      """)
    try project.start()
    #expect(try TestProject.eventually { try project.service("app").state == "exited" })
    #expect(project.running.allSatisfy { !$0.contains("sleep 1000") }, "\(project.running)")
    try project.down()
  }

  @Test("a service that keeps failing fails the wait, with the end of its log")
  func reportsCrashLoop() throws {
    let project = try TestProject(
      """
      services:
        app:
          restart: on-failure
          x-florin: {kind: process, executable: sh, arguments: [-c, "echo cannot find the moon; exit 4"]}
      """)
    let error = #expect(throws: RunnerError.self) { try project.up() }
    #expect(error?.message.contains("cannot find the moon") == true)
    #expect(error?.message.contains("exit code 4") == true)
    try project.down()
    #expect(project.running == [])
  }

  @Test("a service whose program cannot be run fails at once, and says why")
  func reportsUnrunnable() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: ROOT/program}}}")
    try "not a program".write(toFile: project.root + "/program", atomically: true, encoding: .utf8)
    chmod(project.root + "/program", 0o755)
    // Not even an interpreter line: exec(3) would run a shell, execve(2) refuses.
    let error = #expect(throws: RunnerError.self) { try project.up() }
    #expect(error?.message.contains("cannot be run") == true, "\(String(describing: error))")
    try project.down()
  }

  @Test("a service that needs another's success waits for it to finish")
  func waitsForCompletion() throws {
    let project = try TestProject(
      """
      services:
        job: {x-florin: {kind: process, executable: sh, arguments: [-c, "sleep 0.3; touch ROOT/done"]}}
        app:
          depends_on: {job: {condition: service_completed_successfully}}
          x-florin: {kind: process, executable: sh, arguments: [-c, "test -e ROOT/done && exec sleep 1000"]}
      """)
    try project.up()
    #expect(try project.service("job").lastExit == "exit code 0")
    try project.down()
  }

  @Test("a project that runs is not silently run otherwise when its file has changed")
  func refusesChangedPlan() throws {
    let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sleep, arguments: [\"1000\"]}}}")
    try project.up()
    try "services: {app: {x-florin: {kind: process, executable: sleep, arguments: [\"999\"]}}}"
      .write(toFile: project.root + "/compose.yaml", atomically: true, encoding: .utf8)
    let error = #expect(throws: RunnerError.self) { try project.start() }
    #expect(error?.message.contains("florin down") == true)
    try project.down()
  }

  @Test("two that start the same project at once make one supervisor")
  func startsOnce() throws {
    for _ in 1...3 {
      let project = try TestProject("services: {app: {x-florin: {kind: process, executable: sh, arguments: [-c, \"sleep 1000; : ROOT\"]}}}")
      let plan = try project.plan()
      DispatchQueue.concurrentPerform(iterations: 4) { _ in
        do { _ = try ProjectLifecycle.start(plan, programs: TestProject.programs, attached: false) } catch { Issue.record(error) }
      }
      try ProjectLifecycle.waitUntilUp(project.client, timeout: .seconds(60), onChange: { _ in })
      #expect(project.running.filter { $0.contains(" supervise ") }.count == 1)
      try project.down()
      #expect(project.running == [])
    }
  }
}
