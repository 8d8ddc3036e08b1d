public import MeshProtocol
public import ServiceLifecycle

/// What a service brings into its process.
public struct ServiceParts: Sendable {
  /// Made by the generated `methods` of its service protocols.
  public var methods: [RPCMethod]
  /// Run until shutdown, in order; stopped in reverse after the last call was answered, before the supervised tasks and the pool.
  public var background: [any Service]
  /// Asked by `/readyz`, beside the checks that every service has.
  public var readiness: [ReadinessCheck]

  public init(methods: [RPCMethod], background: [any Service] = [], readiness: [ReadinessCheck] = []) {
    self.methods = methods
    self.background = background
    self.readiness = readiness
  }
}
