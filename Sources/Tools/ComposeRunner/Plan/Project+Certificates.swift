public import Authority

extension Project {
  /// Makes the certificates that are missing, and renews those that have passed half of their life.
  /// - Throws: `RunnerError` with the authority's own remedy.
  public func ensureCertificates() throws(RunnerError) -> AuthorityReport {
    do {
      return try Authority.initialize(
        directory: certificatesDirectory, trustDomain: compose.settings.trustDomain, leaves: leaves)
    } catch { throw RunnerError(.environment, error.description) }
  }

  /// Everyone of a local mesh, and whoever else the compose file names.
  private var leaves: [LeafRequest] {
    var leaves = LeafRequest.standard()
    for service in compose.services {
      for (name, isService) in [(service.local.identity, true), (service.local.migrator, false)] {
        guard let name, !leaves.contains(where: { $0.name == name }) else { continue }
        leaves.append(isService ? .service(name) : .client(name))
      }
    }
    return leaves
  }
}
