internal import Yams

/// Makes a `ComposeFile` of a YAML tree. Every key is understood or refused; nothing is skipped in silence.
struct ComposeParser {
  var reader: YAMLReader
  private var names: [String: SourcePosition] = [:]
  /// Where a reference from one service to another stands, to be checked when all are known.
  private var references: [(from: String, to: String, position: SourcePosition, key: String)] = []
  private var portOwners: [Int: String] = [:]

  init(file: String, variables: [String: String]) {
    reader = YAMLReader(file: file, interpolation: VariableInterpolation(variables: variables))
  }

  mutating func parse(_ root: Node, profiles: Set<String>) throws(ComposeError) -> ComposeFile {
    var top = try reader.mapping(root, "the file")
    let nameNode = top.take("name")
    let name = try nameNode.map { node throws(ComposeError) in try projectName(node) } ?? "florin"
    let settings = try top.take("x-florin").map { node throws(ComposeError) in try self.settings(node) } ?? ProjectSettings()
    guard let servicesNode = top.take("services") else {
      throw ComposeError(.missingKey, at: top.position, "the file has no 'services'")
    }
    if let version = top.remaining.first(where: { $0.key == "version" }) {
      throw ComposeError(.unsupportedKey, at: version.position, "'version' is obsolete in the Compose specification: remove it")
    }
    try reader.finish(top, unsupported: ["networks", "volumes", "configs", "secrets", "include", "models"], known: ["name", "services"])

    var services: [ComposeService] = []
    for (key, position, node) in try reader.mapping(servicesNode, "services").remaining {
      guard Self.isServiceName(key) else {
        throw ComposeError(
          .invalidValue, at: position, "'\(key)' is no name for a service: use a-z, 0-9, '-' and '_', starting with a letter, at most 32")
      }
      let service = try self.service(key, at: position, node)
      guard service.profiles.isEmpty || !profiles.isDisjoint(with: service.profiles) else { continue }
      names[key] = position
      services.append(service)
    }
    guard !services.isEmpty else { throw ComposeError(.missingKey, at: reader.position(of: servicesNode), "there are no services to run") }
    try checkReferences(services)
    _ = try DependencyOrder.sorted(services)
    return ComposeFile(
      name: name, path: reader.file, settings: settings, services: services,
      unsetVariables: reader.interpolation.unset.sorted())
  }

  private mutating func projectName(_ node: Node) throws(ComposeError) -> String {
    let name = try reader.text(node, "name")
    let isWord = { (c: UInt8) in (0x61...0x7a).contains(c) || (0x30...0x39).contains(c) }
    guard let first = name.utf8.first, isWord(first), name.utf8.count <= 64,
      name.utf8.allSatisfy({ isWord($0) || $0 == 0x2d || $0 == 0x5f })
    else {
      throw ComposeError(
        .invalidValue, at: reader.position(of: node),
        "'\(name)' is no project name: use a-z, 0-9, '-' and '_', starting with a letter or digit")
    }
    return name
  }

  private mutating func settings(_ node: Node) throws(ComposeError) -> ProjectSettings {
    var settings = ProjectSettings()
    var map = try reader.mapping(node, "x-florin")
    if let node = map.take("trust-domain") { settings.trustDomain = try reader.text(node, "x-florin.trust-domain") }
    if let node = map.take("policy") { settings.policy = try reader.text(node, "x-florin.policy") }
    if let node = map.take("databases") { settings.databases = try reader.texts(node, "x-florin.databases") }
    try finishFlorin(map, known: ["trust-domain", "policy", "databases"])
    return settings
  }

  // MARK: - one service

  private mutating func service(_ name: String, at position: SourcePosition, _ node: Node) throws(ComposeError) -> ComposeService {
    let path = "services.\(name)"
    var map = try reader.mapping(node, path)
    guard let florinNode = map.take("x-florin") else {
      throw ComposeError(
        .missingKey, at: position,
        "\(path) has no 'x-florin': florin runs local processes, so say which (x-florin: {kind: service, executable: NAME})")
    }
    var service = ComposeService(name: name, position: position, local: try local(florinNode, path + ".x-florin", service: name))
    try acceptContainerKeys(&map, path)
    if let node = map.take("depends_on") { service.dependencies = try dependencies(node, path + ".depends_on", of: name) }
    if let node = map.take("healthcheck") { service.healthCheck = try healthCheck(node, path + ".healthcheck") }
    if let node = map.take("restart") {
      let text = try restartText(node, path + ".restart")
      guard let policy = RestartPolicy(text) else {
        throw ComposeError(
          .invalidValue, at: reader.position(of: node),
          "\(path).restart must be \"no\", always, on-failure, on-failure:COUNT or unless-stopped, not '\(text)'")
      }
      service.restart = policy
    }
    if let node = map.take("stop_grace_period") { service.stopGracePeriod = try reader.duration(node, path + ".stop_grace_period") }
    if let node = map.take("stop_signal") {
      let text = try reader.text(node, path + ".stop_signal")
      guard let signal = Signal(text) else {
        throw ComposeError(
          .invalidValue, at: reader.position(of: node), "\(path).stop_signal: '\(text)' is no signal; write SIGTERM, SIGINT, …")
      }
      service.stopSignal = signal.number
    }
    if let node = map.take("environment") { service.environment = try environment(node, path + ".environment") }
    if let node = map.take("profiles") { service.profiles = try reader.texts(node, path + ".profiles") }
    try reader.finish(map, unsupported: Self.unsupportedServiceKeys, known: Self.serviceKeys)
    return service
  }

  /// What describes the container and has no meaning for a local process, which `x-florin` describes: checked for its form only.
  private mutating func acceptContainerKeys(_ map: inout YAMLReader.Mapping, _ path: String) throws(ComposeError) {
    if let node = map.take("image") { _ = try reader.text(node, path + ".image") }
    if let node = map.take("build") {
      if case .mapping = node {
        var build = try reader.mapping(node, path + ".build")
        for key in ["context", "dockerfile", "target"] {
          if let node = build.take(key) { _ = try reader.text(node, "\(path).build.\(key)") }
        }
        try reader.finish(build, known: ["context", "dockerfile", "target"])
      } else {
        _ = try reader.text(node, path + ".build")
      }
    }
    if let node = map.take("command") {
      if case .sequence = node { _ = try reader.texts(node, path + ".command") } else { _ = try reader.text(node, path + ".command") }
    }
    if let node = map.take("ports") {
      for (index, port) in try reader.texts(node, path + ".ports").enumerated() where !Self.isPortMapping(port) {
        throw ComposeError(
          .invalidValue, at: reader.position(of: reader.sequence(node)?[index] ?? node),
          "\(path).ports[\(index)]: '\(port)' is no port: write \"[ADDRESS:]HOST:CONTAINER\" or \"CONTAINER\"")
      }
    }
  }

  /// `restart: no` is the boolean false in YAML 1.1; the specification's own examples quote it. Both are understood.
  private mutating func restartText(_ node: Node, _ path: String) throws(ComposeError) -> String {
    if case .scalar(let scalar) = node, scalar.string == "no" { return "no" }
    return try reader.text(node, path)
  }

  private mutating func dependencies(_ node: Node, _ path: String, of service: String) throws(ComposeError) -> [Dependency] {
    if let nodes = reader.sequence(node) {
      var out: [Dependency] = []
      for (index, element) in nodes.enumerated() {
        let name = try reader.text(element, "\(path)[\(index)]")
        references.append((service, name, reader.position(of: element), "depends_on"))
        out.append(Dependency(service: name, condition: .started))
      }
      return out
    }
    var out: [Dependency] = []
    for (name, position, node) in try reader.mapping(node, path).remaining {
      references.append((service, name, position, "depends_on"))
      var map = try reader.mapping(node, "\(path).\(name)")
      guard let conditionNode = map.take("condition") else {
        throw ComposeError(
          .missingKey, at: position,
          "\(path).\(name) needs a 'condition': service_started, service_healthy or service_completed_successfully")
      }
      let text = try reader.text(conditionNode, "\(path).\(name).condition")
      guard let condition = Dependency.Condition(rawValue: text) else {
        throw ComposeError(
          .invalidValue, at: reader.position(of: conditionNode),
          "\(path).\(name).condition must be service_started, service_healthy or service_completed_successfully, not '\(text)'")
      }
      try reader.finish(map, unsupported: ["restart", "required"], known: ["condition"])
      out.append(Dependency(service: name, condition: condition))
    }
    return out
  }

  private mutating func healthCheck(_ node: Node, _ path: String) throws(ComposeError) -> HealthCheck {
    var check = HealthCheck()
    var map = try reader.mapping(node, path)
    if let node = map.take("test") { check.test = try healthTest(node, path + ".test") }
    if let node = map.take("disable"), try reader.boolean(node, path + ".disable") { check.test = .disabled }
    if let node = map.take("interval") { check.interval = try positive(node, path + ".interval") }
    if let node = map.take("timeout") { check.timeout = try positive(node, path + ".timeout") }
    if let node = map.take("start_period") { check.startPeriod = try reader.duration(node, path + ".start_period") }
    if let node = map.take("retries") { check.retries = try reader.integer(node, path + ".retries", in: 1...10_000) }
    try reader.finish(
      map, unsupported: ["start_interval"], known: ["test", "disable", "interval", "timeout", "start_period", "retries"])
    return check
  }

  private mutating func positive(_ node: Node, _ path: String) throws(ComposeError) -> Duration {
    let duration = try reader.duration(node, path)
    guard duration > .zero else { throw ComposeError(.invalidValue, at: reader.position(of: node), "\(path) must be longer than 0") }
    return duration
  }

  private mutating func healthTest(_ node: Node, _ path: String) throws(ComposeError) -> HealthCheck.Test {
    guard reader.sequence(node) != nil else { return .shell(try reader.text(node, path)) }
    let words = try reader.texts(node, path)
    switch (words.first, words.count) {
    case ("NONE", 1): return .disabled
    case ("CMD", 2...): return .command(Array(words.dropFirst()))
    case ("CMD-SHELL", 2): return .shell(words[1])
    default:
      throw ComposeError(
        .invalidValue, at: reader.position(of: node),
        "\(path) must be a text, [NONE], [CMD, PROGRAM, ARGUMENT…] or [CMD-SHELL, COMMAND]")
    }
  }

  private mutating func environment(_ node: Node, _ path: String) throws(ComposeError) -> [String: String] {
    var out: [String: String] = [:]
    func add(_ name: String, _ value: String?, at position: SourcePosition) throws(ComposeError) {
      guard !name.isEmpty, !name.contains("="), !name.contains("\0") else {
        throw ComposeError(.invalidValue, at: position, "\(path): '\(name)' is no name for a variable")
      }
      if let word = Self.secretWord(in: name) {
        throw ComposeError(
          .secretInEnvironment, at: position,
          "\(path).\(name): '\(word)' sounds like a secret, and secrets do not belong in the environment: Florin's services log in by certificate"
        )
      }
      // Without a value it is passed through, as the specification has it; unset stays unset.
      if let value = value ?? reader.interpolation.variables[name] { out[name] = value }
    }
    if let nodes = reader.sequence(node) {
      for (index, element) in nodes.enumerated() {
        let text = try reader.text(element, "\(path)[\(index)]")
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        try add(String(parts[0]), parts.count > 1 ? String(parts[1]) : nil, at: reader.position(of: element))
      }
    } else {
      for (key, position, node) in try reader.mapping(node, path).remaining {
        try add(key, try reader.textOrNull(node, "\(path).\(key)"), at: position)
      }
    }
    return out
  }

  // MARK: - x-florin

  private mutating func local(_ node: Node, _ path: String, service: String) throws(ComposeError) -> LocalProcess {
    var map = try reader.mapping(node, path)
    guard let kindNode = map.take("kind") else {
      throw ComposeError(.missingKey, at: map.position, "\(path) needs a 'kind': postgres, service or process")
    }
    let kindText = try reader.text(kindNode, path + ".kind")
    guard let kind = LocalProcess.Kind(rawValue: kindText) else {
      throw ComposeError(
        .invalidValue, at: reader.position(of: kindNode), "\(path).kind must be postgres, service or process, not '\(kindText)'")
    }
    var local = LocalProcess(kind: kind)
    if kind != .postgres {
      guard let node = map.take("executable") else {
        throw ComposeError(.missingKey, at: map.position, "\(path) needs an 'executable': what is to run")
      }
      local.executable = try reader.text(node, path + ".executable")
      if let node = map.take("arguments") { local.arguments = try reader.texts(node, path + ".arguments") }
    }
    if kind != .process {
      local.identity = try map.take("identity").map { node throws(ComposeError) in try reader.text(node, path + ".identity") } ?? service
    }
    if kind == .service {
      if let node = map.take("database") { local.database = try reader.text(node, path + ".database") }
      if let node = map.take("migrator") { local.migrator = try reader.text(node, path + ".migrator") }
      if let node = map.take("peers") {
        local.peers = try reader.texts(node, path + ".peers")
        for (index, peer) in local.peers.enumerated() {
          references.append((service, peer, reader.position(of: reader.sequence(node)?[index] ?? node), "peers"))
        }
      }
    }
    let portsNode = map.take("ports")
    if let portsNode { local.ports = try ports(portsNode, path + ".ports", service: service) }
    for required in Self.requiredPorts[kind] ?? [] where local.ports[required] == nil {
      throw ComposeError(
        .missingKey, at: portsNode.map { reader.position(of: $0) } ?? map.position,
        "\(path).ports needs '\(required)': a port of 127.0.0.1")
    }
    try finishFlorin(map, known: Self.florinKeys[kind] ?? [])
    return local
  }

  private mutating func ports(_ node: Node, _ path: String, service: String) throws(ComposeError) -> [String: Int] {
    var out: [String: Int] = [:]
    for (name, position, node) in try reader.mapping(node, path).remaining {
      let port = try reader.integer(node, "\(path).\(name)", in: 1...65535)
      let owner = "\(service)'s \(name) port"
      if let other = portOwners.updateValue(owner, forKey: port) {
        throw ComposeError(.portConflict, at: position, "port \(port) is given twice: to \(other) and to \(owner); change one")
      }
      out[name] = port
    }
    return out
  }

  /// In `x-florin` even keys that start with "x-" are refused: it is ours, and nobody else extends it.
  private func finishFlorin(_ map: YAMLReader.Mapping, known: [String]) throws(ComposeError) {
    guard let extra = map.remaining.first else { return }
    throw ComposeError(
      .unknownKey, at: extra.position, "unknown key '\(extra.key)' in \(map.path): known are \(known.sorted().joined(separator: ", "))")
  }

  // MARK: - across services

  private func checkReferences(_ services: [ComposeService]) throws(ComposeError) {
    for reference in references where names[reference.from] != nil {
      guard reference.from != reference.to else {
        throw ComposeError(.dependencyCycle, at: reference.position, "\(reference.from) names itself in \(reference.key)")
      }
      guard names[reference.to] != nil else {
        throw ComposeError(
          .unknownService, at: reference.position,
          "services.\(reference.from).\(reference.key) names '\(reference.to)', which is no service of this file"
            + " (or of a profile that is not active)")
      }
      let target = services.first { $0.name == reference.to }
      if reference.key == "peers", target?.local.ports["mesh"] == nil {
        throw ComposeError(.invalidValue, at: reference.position, "'\(reference.to)' cannot be a peer: it has no mesh port")
      }
      let needsHealth = services.first { $0.name == reference.from }?.dependencies
        .contains(Dependency(service: reference.to, condition: .healthy))
      let hasHealth = target?.healthCheck.test != .disabled && !(target?.local.kind == .process && target?.healthCheck.test == .builtIn)
      if reference.key == "depends_on", needsHealth == true, !hasHealth {
        throw ComposeError(
          .invalidValue, at: reference.position,
          "\(reference.from) waits for '\(reference.to)' to be healthy, but that has no healthcheck: give it one, or use service_started")
      }
    }
  }

  // MARK: - words

  private static func isServiceName(_ name: String) -> Bool {
    let isLetter = { (c: UInt8) in (0x61...0x7a).contains(c) }
    guard let first = name.utf8.first, isLetter(first), name.utf8.count <= 32 else { return false }
    return name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x5f }
  }

  private static func isPortMapping(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (1...3).contains(parts.count) else { return false }
    return parts.suffix(2).allSatisfy { part in Int(part).map { (1...65535).contains($0) } ?? false }
  }

  private static func secretWord(in name: String) -> String? {
    let words = name.uppercased().split(separator: "_").map(String.init)
    return words.first { ["PASSWORD", "PASSWD", "PGPASSWORD", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY"].contains($0) }
  }

  private static let requiredPorts: [LocalProcess.Kind: [String]] = [.postgres: ["postgres"], .service: ["mesh", "ops"]]
  private static let florinKeys: [LocalProcess.Kind: [String]] = [
    .postgres: ["kind", "identity", "ports"],
    .service: ["kind", "executable", "arguments", "identity", "database", "migrator", "peers", "ports"],
    .process: ["kind", "executable", "arguments", "ports"],
  ]
  private static let serviceKeys = [
    "image", "build", "command", "depends_on", "healthcheck", "restart", "ports", "environment", "stop_grace_period", "stop_signal",
    "profiles", "x-florin",
  ]
  /// Keys of the specification that florin does not support: named as such, so that nobody looks for a typing error.
  private static let unsupportedServiceKeys: Set<String> = [
    "annotations", "attach", "blkio_config", "cap_add", "cap_drop", "cgroup", "cgroup_parent", "configs", "container_name",
    "cpu_count", "cpu_percent", "cpu_shares", "cpus", "cpuset", "deploy", "develop", "device_cgroup_rules", "devices", "dns",
    "dns_opt", "dns_search", "domainname", "entrypoint", "env_file", "expose", "extends", "external_links", "extra_hosts",
    "gpus", "group_add", "hostname", "init", "ipc", "isolation", "labels", "label_file", "links", "logging", "mac_address",
    "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "network_mode", "networks", "oom_kill_disable",
    "oom_score_adj", "pid", "pids_limit", "platform", "post_start", "pre_stop", "privileged", "provider", "pull_policy",
    "read_only", "runtime", "scale", "secrets", "security_opt", "shm_size", "stdin_open", "storage_opt", "sysctls", "tmpfs",
    "tty", "ulimits", "user", "userns_mode", "uts", "volumes", "volumes_from", "working_dir",
  ]
}
