import Testing

@testable import ComposeRunner

@Suite struct ComposeFileTests {
  private func parse(_ text: String, variables: [String: String] = [:], profiles: Set<String> = []) throws(ComposeError) -> ComposeFile {
    try ComposeFile.parse(text, path: "compose.yaml", variables: variables, profiles: profiles)
  }

  @Test("a whole file is read as the specification means it")
  func readsWholeFile() throws {
    let file = try parse(
      """
      name: bank
      x-florin: {trust-domain: bank.example, policy: policy.yaml, databases: [ledger]}
      x-other: ignored
      services:
        postgres:
          image: postgres:15
          stop_grace_period: 1m30s
          x-florin:
            kind: postgres
            ports: {postgres: "${PG:-7432}"}
        ledger:
          build: {context: .., dockerfile: Containerfile}
          command: [ledger, serve]
          ports: ["127.0.0.1:7102:7102", "80:80", "9"]
          depends_on:
            postgres: {condition: service_healthy}
          restart: on-failure:3
          environment: {MODE: test, EMPTY: "", PASSED: , GONE: }
          healthcheck: {interval: 2s, timeout: 500ms, retries: 5, start_period: 1m}
          x-florin:
            kind: service
            executable: ledger
            identity: ledger-1
            database: ledger
            migrator: migrator
            arguments: [--log-level, debug]
            ports: {mesh: 7102, ops: 7202}
        tool:
          depends_on: [ledger]
          restart: "no"
          environment: [A=1=2, PASSED]
          healthcheck: {test: [CMD, "true"]}
          x-florin: {kind: process, executable: sleep, arguments: ["1"]}
        extra:
          profiles: [debug]
          x-florin: {kind: process, executable: sleep}
      """, variables: ["PG": "5555", "PASSED": "through"])
    #expect(file.name == "bank")
    #expect(file.settings == ProjectSettings(trustDomain: "bank.example", policy: "policy.yaml", databases: ["ledger"]))
    #expect(file.services.map(\.name) == ["postgres", "ledger", "tool"])
    let (postgres, ledger, tool) = (file.services[0], file.services[1], file.services[2])
    #expect(postgres.local.ports == ["postgres": 5555])
    #expect(postgres.local.identity == "postgres")
    #expect(postgres.stopGracePeriod == .seconds(90))
    #expect(ledger.dependencies == [Dependency(service: "postgres", condition: .healthy)])
    #expect(ledger.restart == .onFailure(limit: 3))
    #expect(ledger.environment == ["MODE": "test", "EMPTY": "", "PASSED": "through"])
    #expect(ledger.healthCheck.test == .builtIn)
    #expect(ledger.healthCheck.timeout == .milliseconds(500))
    #expect(ledger.healthCheck.startPeriod == .seconds(60))
    #expect(ledger.local.identity == "ledger-1")
    #expect(ledger.local.migrator == "migrator")
    #expect(tool.dependencies == [Dependency(service: "ledger", condition: .started)])
    #expect(tool.environment == ["A": "1=2", "PASSED": "through"])
    #expect(tool.healthCheck.test == .command(["true"]))
    #expect(
      try parse("services: {extra: {profiles: [debug], x-florin: {kind: process, executable: sleep}}}", profiles: ["debug"])
        .services.map(\.name) == ["extra"])
  }

  @Test("the compose file that is delivered can be read, with its default ports and with others")
  func readsDelivered() throws {
    let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try ComposeFile.load(path: "/\(path)/deploy/compose.yaml", variables: ["FLORIN_LEDGER_PORT": "9999"])
    #expect(Set(file.services.map(\.name)) == ["postgres", "account", "ledger", "payment", "notification"])
    #expect(file.unsetVariables == [])
    #expect(file.services.first { $0.name == "ledger" }?.local.ports == ["mesh": 9999, "ops": 7202])
    #expect(file.services.first { $0.name == "postgres" }?.local.ports == ["postgres": 7432])
    for service in file.services { #expect(service.restart == .onFailure(limit: nil)) }
  }

  /// Text, where the error is to be (line:column), its code, and a word of what it must say.
  private static let refusals: [(String, String, ComposeError.Code, String)] = [
    ("name: x\nservices:\n  a:\n    imagee: y\n    x-florin: {kind: process, executable: b}", "4:5", .unknownKey, "imagee"),
    ("name: x\nservices:\n  a:\n    volumes: [y]\n    x-florin: {kind: process, executable: b}", "4:5", .unsupportedKey, "volumes"),
    ("services: {}\nnetworks: {}", "2:1", .unsupportedKey, "networks"),
    ("version: '3'\nservices: {}", "1:1", .unsupportedKey, "obsolete"),
    ("services: {}\nservies: {}", "2:1", .unknownKey, "servies"),
    ("services: {}", "1:11", .missingKey, "no services"),
    ("name: x", "1:1", .missingKey, "services"),
    ("name: Upper\nservices: {}", "1:7", .invalidValue, "Upper"),
    ("- a", "1:1", .wrongType, "mapping"),
    ("services: [a]", "1:11", .wrongType, "mapping"),
    ("services:\n  a:\n    image: y", "2:3", .missingKey, "x-florin"),
    ("services:\n  A:\n    x-florin: {kind: process, executable: b}", "2:3", .invalidValue, "'A'"),
    ("services:\n  a:\n    x-florin: {kind: proces, executable: b}", "3:22", .invalidValue, "proces"),
    ("services:\n  a:\n    x-florin: {kind: process}", "3:15", .missingKey, "executable"),
    ("services:\n  a:\n    x-florin: {kind: process, executable: b, x-y: 1}", "3:46", .unknownKey, "x-y"),
    ("services:\n  a:\n    x-florin: {kind: postgres}", "3:15", .missingKey, "postgres"),
    ("services:\n  a:\n    x-florin: {kind: service, executable: b, ports: {mesh: 1}}", "3:53", .missingKey, "ops"),
    ("services:\n  a:\n    x-florin: {kind: process, executable: b, ports: {m: 70000}}", "3:57", .invalidValue, "70000"),
    ("services:\n  a:\n    x-florin: {kind: process, executable: b, ports: {m: 0x10}}", "3:57", .invalidValue, "0x10"),
    ("services:\n  a:\n    x-florin: {kind: process, executable: b, ports: {m: 1, n: 1}}", "3:60", .portConflict, "twice"),
    ("services:\n  a:\n    restart: sometimes\n    x-florin: {kind: process, executable: b}", "3:14", .invalidValue, "sometimes"),
    ("services:\n  a:\n    restart: on-failure:0\n    x-florin: {kind: process, executable: b}", "3:14", .invalidValue, "on-failure:0"),
    ("services:\n  a:\n    stop_grace_period: 10\n    x-florin: {kind: process, executable: b}", "3:24", .invalidValue, "duration"),
    ("services:\n  a:\n    stop_signal: SIGFOO\n    x-florin: {kind: process, executable: b}", "3:18", .invalidValue, "SIGFOO"),
    ("services:\n  a:\n    healthcheck: {interval: 0s}\n    x-florin: {kind: process, executable: b}", "3:29", .invalidValue, "longer"),
    ("services:\n  a:\n    healthcheck: {test: [RUN, x]}\n    x-florin: {kind: process, executable: b}", "3:25", .invalidValue, "CMD"),
    ("services:\n  a:\n    healthcheck: {intervall: 1s}\n    x-florin: {kind: process, executable: b}", "3:19", .unknownKey, "intervall"),
    ("services:\n  a:\n    depends_on: [b]\n    x-florin: {kind: process, executable: b}", "3:18", .unknownService, "'b'"),
    ("services:\n  a:\n    depends_on: [a]\n    x-florin: {kind: process, executable: b}", "3:18", .dependencyCycle, "itself"),
    (
      "services:\n  a:\n    depends_on: {b: {condition: ready}}\n    x-florin: {kind: process, executable: b}", "3:33", .invalidValue,
      "ready"
    ),
    ("services:\n  a:\n    depends_on: {b: {}}\n    x-florin: {kind: process, executable: b}", "3:18", .missingKey, "condition"),
    (
      "services:\n  a:\n    environment: {DB_PASSWORD: x}\n    x-florin: {kind: process, executable: b}", "3:19", .secretInEnvironment,
      "PASSWORD"
    ),
    (
      "services:\n  a:\n    environment: [API_TOKEN=x]\n    x-florin: {kind: process, executable: b}", "3:19", .secretInEnvironment, "TOKEN"
    ),
    ("services:\n  a:\n    environment: {DEBUG: true}\n    x-florin: {kind: process, executable: b}", "3:26", .wrongType, "quotes"),
    ("services:\n  a:\n    ports: [x]\n    x-florin: {kind: process, executable: b}", "3:13", .invalidValue, "'x'"),
    ("services:\n  a:\n    image: ${NOT\n    x-florin: {kind: process, executable: b}", "3:12", .interpolation, "}"),
    ("services:\n  a:\n    image: ${NOT:?set it}\n    x-florin: {kind: process, executable: b}", "3:12", .interpolation, "set it"),
    ("services:\n  a:\n    image:\n    x-florin: {kind: process, executable: b}", "3:11", .wrongType, "no value"),
    ("services:\n  a:\n    image: x\n    image: y", "3:5", .syntax, "twice"),
    ("services:\n  a: [", "3:1", .syntax, "not YAML"),
    ("services:\n\ta: 1", "2:1", .syntax, "not YAML"),
    ("", "1:1", .syntax, "empty"),
    ("services:\n  a: *nowhere", "2:6", .syntax, "not YAML"),
    ("x-base: &b {image: y}\nservices:\n  a:\n    <<: *b\n    x-florin: {kind: process, executable: b}", "4:5", .unsupportedKey, "merge"),
    (
      "services:\n  a: {depends_on: {b: {condition: service_healthy}}, x-florin: {kind: process, executable: b}}\n  b: {x-florin: {kind: process, executable: b}}",
      "2:20", .invalidValue, "no healthcheck"
    ),
  ]

  @Test("what is wrong is refused with its line and column, and says what is meant", arguments: refusals)
  func refuses(text: String, place: String, code: ComposeError.Code, word: String) {
    let error = #expect(throws: ComposeError.self) { try parse(text) }
    #expect(error?.code == code)
    #expect(error?.position.map { "\($0.line):\($0.column)" } == place, "\(String(describing: error))")
    #expect(error?.description.contains(word) == true, "\(String(describing: error))")
  }

  @Test("services that wait for each other are refused, and the circle is named")
  func refusesCycles() {
    let text = ["a: b", "b: c", "c: a"].map { pair in
      let parts = pair.split(separator: ":").map { $0.trimmingPrefix(" ") }
      return "  \(parts[0]): {depends_on: [\(parts[1])], x-florin: {kind: process, executable: x}}"
    }
    let error = #expect(throws: ComposeError.self) { try parse("services:\n" + text.joined(separator: "\n")) }
    #expect(error?.code == .dependencyCycle)
    #expect(error?.message.contains("a → b → c → a") == true)
  }

  @Test("the order of start puts dependencies first, and else keeps the order of the file")
  func ordersByDependency() throws {
    let file = try parse(
      """
      services:
        d: {depends_on: [b, c], x-florin: {kind: process, executable: x}}
        a: {x-florin: {kind: process, executable: x}}
        c: {depends_on: [a], x-florin: {kind: process, executable: x}}
        b: {depends_on: [a], x-florin: {kind: process, executable: x}}
      """)
    #expect(try DependencyOrder.sorted(file.services).map(\.name) == ["a", "b", "c", "d"])
  }

  @Test("a missing file and a directory are refused with what to do")
  func refusesMissing() {
    let missing = #expect(throws: ComposeError.self) { try ComposeFile.load(path: "/nowhere/compose.yaml", variables: [:]) }
    #expect(missing?.code == .fileMissing)
    #expect(missing?.message.contains("-f FILE") == true)
    let directory = #expect(throws: ComposeError.self) { try ComposeFile.load(path: "/tmp", variables: [:]) }
    #expect(directory?.code == .fileUnreadable)
  }

  @Test(
    "durations are read as the specification has them",
    arguments: [("10s", 10_000), ("1m30s", 90_000), ("250ms", 250), ("1h", 3_600_000), ("0s", 0), ("1500us", 1)])
  func durations(text: String, milliseconds: Int64) throws {
    let duration = try #require(ComposeDuration.parse(text))
    #expect(duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000 == milliseconds)
  }

  @Test("what is no duration is none", arguments: ["", "10", "s", "-1s", "1.5s", "1d", "25h", "9999999999s", "1s ", "１s"])
  func noDurations(text: String) {
    #expect(ComposeDuration.parse(text) == nil)
  }
}
