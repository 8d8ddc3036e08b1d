/// The order in which services can be started: dependencies first, otherwise the order of the file.
enum DependencyOrder {
  /// - Throws: `ComposeError.dependencyCycle`, naming the cycle.
  static func sorted(_ services: [ComposeService]) throws(ComposeError) -> [ComposeService] {
    let byName = Dictionary(services.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var done: Set<String> = []
    var out: [ComposeService] = []

    func visit(_ service: ComposeService, _ path: [String]) throws(ComposeError) {
      guard !done.contains(service.name) else { return }
      if let start = path.firstIndex(of: service.name) {
        let cycle = (path[start...] + [service.name]).joined(separator: " → ")
        throw ComposeError(
          .dependencyCycle, at: service.position, "services wait for each other in a circle: \(cycle); remove one depends_on")
      }
      for dependency in service.dependencies {
        if let next = byName[dependency.service] { try visit(next, path + [service.name]) }
      }
      done.insert(service.name)
      out.append(service)
    }

    for service in services { try visit(service, []) }
    return out
  }
}
