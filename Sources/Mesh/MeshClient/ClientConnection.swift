internal import MeshProtocol
internal import MeshTLS
internal import MeshTransport
internal import NIOCore

/// The client's side of one connection, on its event loop: which call is on which stream.
final class ClientConnection: ConnectionOwner {
  typealias Handler = ConnectionHandler<ClientConnectionStateMachine, ClientConnection>

  private weak var core: ChannelCore?
  private weak var handler: Handler?
  private weak var channel: (any Channel)?
  private var calls: [UInt32: PendingCall] = [:]
  /// It could carry calls once.
  private(set) var wasReady = false
  /// At least one call got an answer on it: the connection is of use.
  private(set) var hasServed = false

  init(core: ChannelCore) { self.core = core }

  func attach(_ handler: Handler, _ channel: any Channel) {
    self.handler = handler
    self.channel = channel
  }

  var freeSlots: Int { handler?.machine.freeSlots ?? 0 }

  /// Puts the call on a stream, or answers it with why it cannot be made.
  func start(_ call: PendingCall) {
    guard let handler else {
      return call.complete(.failure(RPCError(.unavailable, "the connection has closed", origin: .transport, executed: .no)))
    }
    handler.tell { machine, now in
      let (opened, effects) = machine.callRequested(call.request, at: now)
      switch opened {
      case .success(let streamID):
        call.place = .onStream(self, streamID)
        calls[streamID] = call
      case .failure(let error): call.complete(.failure(error))
      }
      return effects
    }
  }

  func cancel(_ streamID: UInt32) { handler?.tell { machine, _ in machine.callCancelled(streamID) } }

  func drain(_ reason: String) { handler?.tell { machine, _ in machine.drainRequested(reason: reason) } }

  func closeAtOnce() { channel?.triggerUserOutboundEvent(CloseAtOnce(), promise: nil) }

  // MARK: - From the connection

  func connectionOpened(_ peer: TLSPeer) {}

  func handle(_ event: ClientConnectionStateMachine.Event) {
    switch event {
    case .becameReady:
      wasReady = true
      core?.connectionBecameReady(self)
    case .retired(let reason): core?.connectionRetired(self, reason)
    case .completed(let streamID, let result):
      if case .success = result { hasServed = true }
      if let call = calls.removeValue(forKey: streamID) {
        core?.forget(call.ticket)
        call.complete(result)
      }
      core?.slotFreed()
    case .slotFreed: core?.slotFreed()
    }
  }

  func connectionClosed(_ cause: CloseCause, failure: (any Error)?) {
    // The machine has answered every call already; this is for what it does not know.
    let left = calls
    calls = [:]
    for call in left.values {
      core?.forget(call.ticket)
      call.complete(.failure(RPCError(.unavailable, "the connection ended: \(cause)", origin: .transport, executed: .unknown)))
    }
    core?.connectionClosed(self, cause, failure)
  }
}
