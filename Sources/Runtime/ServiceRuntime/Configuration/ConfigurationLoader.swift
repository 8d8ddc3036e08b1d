internal import Configuration
internal import Logging

/// Makes a `ServiceConfiguration` from defaults, overridden by the file, overridden by flags. The environment is never read.
struct ConfigurationLoader {
  let definition: ServiceDefinition
  /// Path of the JSON file, or nil.
  var file: String?
  /// Values of flags by key, already checked for their form.
  var flags: [ConfigurationKey: ConfigValue] = [:]
  /// `--set key=value`.
  var settings: [String: String] = [:]

  /// - Throws: `ServiceFailure` (configuration), naming file and key.
  func load() async throws(ServiceFailure) -> ServiceConfiguration {
    var providers: [any ConfigProvider] = [provider("flags", flags)]
    var fileValues: [String: String] = [:]
    if let file {
      let contents = try ConfigurationFile(path: file)
      try contents.refuseUnknown(known: ConfigurationKey.allCases.map(\.rawValue) + definition.settings.map(\.key))
      fileValues = contents.values
      do {
        providers.append(try await FileProvider<JSONSnapshot>(filePath: .init(file)))
      } catch {
        throw ServiceFailure(.configuration, "\(file): \(error)")
      }
    }
    providers.append(provider("defaults", defaults))
    let reader = ConfigReader(providers: providers)
    var configuration = ServiceConfiguration(
      listen: try address(.listen, reader), opsListen: try address(.opsListen, reader),
      identityDirectory: try text(.identityDirectory, reader), policyFile: try text(.policyFile, reader),
      database: .init(
        host: try text(.databaseHost, reader), port: try number(.databasePort, 1...65_535, reader),
        name: try text(.databaseName, reader), poolSize: try number(.databasePoolSize, 1...1000, reader)))
    for peer in ConfigurationKey.peers where has(peer.key, fileValues) {
      configuration.peers[peer.service] = try address(peer.key, reader)
    }
    let endpoint = try text(.otlpEndpoint, reader)
    configuration.otlpEndpoint = endpoint.isEmpty ? nil : endpoint
    guard let level = Logger.Level(rawValue: try text(.logLevel, reader)) else {
      throw refusal(.logLevel, "must be one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
    }
    configuration.logLevel = level
    configuration.traceSamplePartsPerMillion = try number(.traceSamplePartsPerMillion, 0...1_000_000, reader)
    if has(.lifelineDescriptor, fileValues) {
      configuration.lifelineDescriptor = Int32(try number(.lifelineDescriptor, 0...1_000_000, reader))
    }
    configuration.migrateIdentityDirectory =
      has(.migrateIdentityDirectory, fileValues) ? try text(.migrateIdentityDirectory, reader) : nil
    for setting in definition.settings {
      configuration.settings[setting.key] = settings[setting.key] ?? fileValues[setting.key] ?? setting.defaultValue
    }
    try check(configuration)
    return configuration
  }

  private var defaults: [ConfigurationKey: ConfigValue] {
    let name = definition.name
    return [
      .listen: ConfigValue(.string("127.0.0.1:\(DefaultPorts.mesh(name))"), isSecret: false),
      .opsListen: ConfigValue(.string("127.0.0.1:\(DefaultPorts.ops(name))"), isSecret: false),
      .identityDirectory: ConfigValue(.string("certs/dev/leaves/\(name)"), isSecret: false),
      .policyFile: "deploy/policy.yaml", .databaseHost: "127.0.0.1",
      .databasePort: ConfigValue(.int(DefaultPorts.postgres), isSecret: false),
      .databaseName: ConfigValue(.string(name), isSecret: false), .databasePoolSize: 8, .otlpEndpoint: "", .logLevel: "info",
      .traceSamplePartsPerMillion: 1_000_000,
    ]
  }

  private func provider(_ name: String, _ values: [ConfigurationKey: ConfigValue]) -> InMemoryProvider {
    InMemoryProvider(
      name: name, values: Dictionary(uniqueKeysWithValues: values.map { (AbsoluteConfigKey(ConfigKey($0.key.rawValue)), $0.value) }))
  }

  private func has(_ key: ConfigurationKey, _ fileValues: [String: String]) -> Bool {
    flags[key] != nil || fileValues[key.rawValue] != nil
  }

  private func text(_ key: ConfigurationKey, _ reader: ConfigReader) throws(ServiceFailure) -> String {
    do {
      return try reader.requiredString(forKey: ConfigKey(key.rawValue))
    } catch {
      throw refusal(key, "must be text")
    }
  }

  private func number(_ key: ConfigurationKey, _ range: ClosedRange<Int>, _ reader: ConfigReader) throws(ServiceFailure) -> Int {
    guard let value = try? reader.requiredInt(forKey: ConfigKey(key.rawValue)), range.contains(value) else {
      throw refusal(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private func address(_ key: ConfigurationKey, _ reader: ConfigReader) throws(ServiceFailure) -> HostPort {
    guard let address = HostPort(try text(key, reader)) else {
      throw refusal(key, "must be host:port, such as 127.0.0.1:7101")
    }
    return address
  }

  private func refusal(_ key: ConfigurationKey, _ what: String) -> ServiceFailure {
    flags[key] != nil
      ? ServiceFailure(.usage, "--\(key.flag) \(what)")
      : ServiceFailure(.configuration, "\(file ?? "the defaults"): '\(key.rawValue)' \(what)")
  }

  private func check(_ configuration: ServiceConfiguration) throws(ServiceFailure) {
    guard configuration.opsListen.isLoopback else {
      throw ServiceFailure(
        .configuration,
        "ops.listen is \(configuration.opsListen), but health and metrics are plain HTTP: they are bound to loopback only (127.0.0.1 or [::1])"
      )
    }
    guard configuration.listen.port == 0 || configuration.listen != configuration.opsListen else {
      throw ServiceFailure(.configuration, "listen and ops.listen are both \(configuration.listen): give each its own port")
    }
    for key in settings.keys.sorted() where !definition.settings.contains(where: { $0.key == key }) {
      let known = definition.settings.map(\.key)
      throw ServiceFailure(
        .usage, "--set \(key): \(definition.name) has no such setting" + (known.isEmpty ? "" : "; it has " + known.joined(separator: ", ")))
    }
  }
}

extension ConfigurationKey {
  /// "database-pool-size" for "database.pool.size".
  var flag: String { String(rawValue.map { $0 == "." ? "-" : $0 }) }
}
