public import MeshProtocol

/// A call that the policy does not grant. No handler saw it.
public struct DeniedCall: Sendable, Hashable {
  public var peer: SPIFFEID
  /// As the caller wrote it, at most 255 bytes; it need not exist.
  public var method: String

  public init(peer: SPIFFEID, method: String) {
    self.peer = peer
    self.method = method
  }
}
