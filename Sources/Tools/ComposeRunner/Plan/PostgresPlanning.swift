/// How a private PostgreSQL cluster is made, run, asked and provisioned: as processes.
public protocol PostgresPlanning: Sendable {
  /// - Throws: `RunnerError` if PostgreSQL is not installed, or cannot be run here.
  func pieces(port: Int, databases: [String], identityDirectory: String, environment: [String: String]) throws -> PostgresPieces
}

/// The processes of a private cluster.
public struct PostgresPieces: Sendable {
  public var preparation: [StepPlan]
  public var process: ProcessPlan
  public var provisioning: [StepPlan]
  public var probe: ProcessPlan

  public init(preparation: [StepPlan], process: ProcessPlan, provisioning: [StepPlan], probe: ProcessPlan) {
    self.preparation = preparation
    self.process = process
    self.provisioning = provisioning
    self.probe = probe
  }
}
