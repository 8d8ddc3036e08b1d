internal import MeshProtocol
internal import Synchronization

/// One attempt of a call on its way through a channel. Everything but the cancellation flag belongs to the channel's event loop.
final class PendingCall {
  enum Place {
    /// Not yet taken up, or answered.
    case nowhere
    case waiting
    case onStream(ClientConnection, UInt32)
  }

  let request: ClientConnectionStateMachine.OutgoingCall
  let waitsForReady: Bool
  let ticket: Ticket
  var place = Place.nowhere
  private var continuation: CheckedContinuation<Result<RPCReply, RPCError>, Never>?

  init(
    _ request: ClientConnectionStateMachine.OutgoingCall, waitsForReady: Bool, ticket: Ticket,
    continuation: CheckedContinuation<Result<RPCReply, RPCError>, Never>
  ) {
    self.request = request
    self.waitsForReady = waitsForReady
    self.ticket = ticket
    self.continuation = continuation
  }

  /// Answers the caller; a second answer is ignored.
  func complete(_ result: Result<RPCReply, RPCError>) {
    place = .nowhere
    continuation?.resume(returning: result)
    continuation = nil
  }

  /// What the caller's task holds of the call. The task may be cancelled before the event loop has heard of the call at all.
  final class Ticket: Sendable, Hashable {
    private let cancelled = Atomic(false)

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
    func cancel() { cancelled.store(true, ordering: .releasing) }

    static func == (a: Ticket, b: Ticket) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
  }
}
