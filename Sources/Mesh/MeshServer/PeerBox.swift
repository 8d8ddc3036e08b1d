internal import MeshProtocol
internal import Synchronization

/// The connection's peer, known after the handshake: the admission of a call asks for it.
final class PeerBox: Sendable {
  private let state = Mutex<SPIFFEID?>(nil)

  var id: SPIFFEID? { state.withLock { $0 } }
  func set(_ id: SPIFFEID) { state.withLock { $0 = id } }
}
