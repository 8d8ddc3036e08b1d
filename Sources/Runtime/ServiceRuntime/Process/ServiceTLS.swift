internal import MeshProtocol
internal import MeshTLS

/// The identity of this process in both directions. Asked at each new connection, so that a renewed one is taken.
struct ServiceTLS: Sendable {
  let id: SPIFFEID
  let client: @Sendable () -> TLSContext
  let server: @Sendable () -> TLSContext
  let identity: TLSIdentity

  /// - Throws: `ServiceFailure` (configuration) if it is somebody else's.
  init(_ identity: TLSIdentity, service: String) throws(ServiceFailure) {
    let contexts = identity.current
    guard let client = contexts.client, let server = contexts.server else {
      throw ServiceFailure(.internalBug, "the identity was loaded without both roles")
    }
    id = server.identity
    self.identity = identity
    // A reload keeps the roles that were asked for, so the first contexts are only a fallback for the compiler's sake.
    self.client = { identity.current.client ?? client }
    self.server = { identity.current.server ?? server }
    guard id.path == service else {
      throw ServiceFailure(
        .configuration,
        "the identity in \(identity.files.directory) is \(id), not that of '\(service)': set identity.directory to the service's own")
    }
  }
}
