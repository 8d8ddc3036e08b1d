internal import Logging
internal import MeshProtocol
internal import MeshTLS
internal import MeshTransport
internal import NIOCore

/// The server's side of one connection, on its event loop: a task for each handler, and the way back for what it returns.
///
/// Handlers run on Swift's own pool, not on the event loop: one that blocks or computes for long then delays no other connection. Each is
/// an unstructured task because it is started from the event loop, but none is left to itself: its slot is counted, the connection's end
/// cancels it, and a shutdown waits for it.
final class ServerConnection: ConnectionOwner {
  typealias Handler = ConnectionHandler<ServerConnectionStateMachine, ServerConnection>

  /// What all connections of a server share.
  struct Shared: Sendable {
    var configuration: MeshServerConfiguration
    var runner: CallRunner
    var slots: HandlerSlots
    var registry: ConnectionRegistry
  }

  let id: Int
  private let shared: Shared
  private let eventLoop: any EventLoop
  private let channel: any Channel
  private weak var handler: Handler?
  private let peer: PeerBox
  private var tasks: [UInt32: Task<Void, Never>] = [:]

  init(id: Int, channel: any Channel, shared: Shared, peer: PeerBox) {
    self.id = id
    self.channel = channel
    self.shared = shared
    self.peer = peer
    eventLoop = channel.eventLoop
  }

  func attach(_ handler: Handler) { self.handler = handler }

  // MARK: - From the server

  func drain(_ reason: String) {
    // Before the handshake there is nobody to say goodbye to.
    guard peer.id != nil else { return channel.close(promise: nil) }
    handler?.tell { machine, now in machine.drainRequested(reason: reason, at: now) }
  }

  func closeAtOnce() { channel.triggerUserOutboundEvent(CloseAtOnce(), promise: nil) }

  // MARK: - From the connection

  func connectionOpened(_ peer: TLSPeer) {
    self.peer.set(peer.id)
    shared.registry.handshakeDone(id)
  }

  func handle(_ event: ServerConnectionStateMachine.Event) {
    switch event {
    case .becameReady: break
    case .startHandler(let call): start(call)
    case .cancelHandler(let streamID, _): tasks[streamID]?.cancel()
    }
  }

  func connectionClosed(_ cause: CloseCause, failure: (any Error)?) {
    for task in tasks.values { task.cancel() }
    tasks = [:]
  }

  private func start(_ call: ServerConnectionStateMachine.IncomingCall) {
    let streamID = call.streamID
    guard let peerID = peer.id else { return }  // frames come only after the handshake
    guard shared.slots.take() else {
      handler?.tell { machine, now in
        machine.handlerDeclined(
          streamID, Frame.Nack("the server is at its limit of handlers", retryAfter: .milliseconds(20)), at: now)
      }
      return
    }
    let runner = shared.runner
    let slots = shared.slots
    let eventLoop = eventLoop
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    tasks[streamID] = Task {
      let result = await runner.run(call, peer: peerID)
      slots.free()
      eventLoop.execute { bound.value.returned(streamID, result) }
    }
  }

  private func returned(_ streamID: UInt32, _ result: Result<RPCReply, RPCError>) {
    // The connection may have closed meanwhile: then nobody waits for the answer.
    tasks[streamID] = nil
    handler?.tell { machine, now in machine.handlerReturned(streamID, result, at: now) }
  }
}
