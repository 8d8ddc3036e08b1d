package import Logging
internal import MeshProtocol
internal import MeshTLS
internal import Metrics

/// What a connection leaves behind for the people who run it: log lines with reasons, and counters with few, stable labels.
package struct ConnectionObserver: Sendable {
  /// Which end of the connection is observed.
  package enum Role: String, Sendable, Hashable { case client, server }

  package var role: Role
  /// Carries what is known of the connection: peer, address.
  package var logger: Logger

  package init(role: Role, logger: Logger) {
    self.role = role
    self.logger = logger
  }

  func handshakeCompleted(_ peer: TLSPeer) {
    count("mesh_tls_handshakes_total", ("result", "ok"))
    logger.debug("mesh.connection_opened", metadata: ["peer": "\(peer.id)", "peer_serial": "\(peer.serial)"])
  }

  func handshakeFailed(_ error: any Error) {
    let label = (error as? TLSError)?.reason.label ?? (error is TLSHandshakeTimedOut ? "timed_out" : "connection_lost")
    count("mesh_tls_handshakes_total", ("result", "failed"), ("reason", label))
    logger.warning("mesh.handshake_failed", metadata: ["reason": "\(label)", "detail": "\(error)"])
  }

  func closed(_ cause: CloseCause) {
    count("mesh_connections_closed_total", ("reason", cause.label))
    let metadata: Logger.Metadata = ["reason": "\(cause.label)", "detail": "\(cause)"]
    switch cause {
    case .peerFault: logger.warning("mesh.peer_fault", metadata: metadata)
    case .drainLimitPassed, .helloTimedOut, .peerIsGone: logger.warning("mesh.connection_closed", metadata: metadata)
    case .drained, .connectionLost: logger.debug("mesh.connection_closed", metadata: metadata)
    }
  }

  func dropped(_ drop: LegitimateDrop) { count("mesh_frames_dropped_total", ("reason", drop.rawValue)) }

  /// Our bug.
  func misused(_ what: String) {
    count("mesh_internal_errors_total")
    logger.error("mesh.internal_error", metadata: ["detail": "\(what)"])
  }

  private func count(_ name: String, _ dimensions: (String, String)...) {
    Counter(label: name, dimensions: [("role", role.rawValue)] + dimensions).increment()
  }
}
