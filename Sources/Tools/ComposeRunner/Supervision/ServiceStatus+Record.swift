extension ServiceStatus {
  init(_ record: ServiceRecord, others: [ServiceRecord], at now: Duration) {
    let waitsFor =
      record.phase == .created && record.wanted
      ? record.plan.dependencies.map(\.service).filter { name in
        others.first { $0.plan.name == name }.map { !$0.isUp } ?? true
      } : []
    self.init(
      name: record.plan.name, kind: record.plan.kind, identity: record.plan.identity, state: record.phase.rawValue,
      health: record.health.rawValue,
      isUp: record.isUp, hasBeenHealthy: record.hasBeenHealthy, pid: record.process?.pid, ports: record.plan.ports,
      restarts: record.restarts, uptimeSeconds: record.startedAt.map { Int((now - $0).components.seconds) },
      lastExit: record.lastExit?.description, exitCode: record.lastExit?.code, detail: record.detail, waitsFor: waitsFor)
  }
}
