internal import NIOCore
internal import Synchronization

/// The server's connections: how many there may be, who must be told to go, and whether all have gone.
final class ConnectionRegistry: Sendable {
  private struct State {
    var connections: [Int: NIOLoopBound<ServerConnection>] = [:]
    var handshakes: Set<Int> = []
    var lastID = 0
    var isDraining = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  enum Refusal: String { case tooManyConnections = "too_many_connections", tooManyHandshakes = "too_many_handshakes", draining }

  private let maximumConnections: Int
  private let maximumHandshakes: Int
  private let state = Mutex(State())

  init(maximumConnections: Int, maximumHandshakes: Int) {
    self.maximumConnections = maximumConnections
    self.maximumHandshakes = maximumHandshakes
  }

  var count: Int { state.withLock { $0.connections.count } }

  func newID() -> Int {
    state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
  }

  /// Nil: it is in, with its handshake to come.
  func add(_ connection: NIOLoopBound<ServerConnection>, _ id: Int) -> Refusal? {
    state.withLock { state in
      if state.isDraining { return .draining }
      if state.connections.count >= maximumConnections { return .tooManyConnections }
      if state.handshakes.count >= maximumHandshakes { return .tooManyHandshakes }
      state.connections[id] = connection
      state.handshakes.insert(id)
      return nil
    }
  }

  func handshakeDone(_ id: Int) { state.withLock { _ = $0.handshakes.remove(id) } }

  func remove(_ id: Int) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.connections[id] = nil
      state.handshakes.remove(id)
      guard state.connections.isEmpty else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// From now on nobody comes in. Each one that is in is told on its own event loop.
  func drain(_ tell: @escaping @Sendable (ServerConnection) -> Void) {
    let connections = state.withLock { state in
      state.isDraining = true
      return Array(state.connections.values)
    }
    for connection in connections { connection.eventLoop.execute { tell(connection.value) } }
  }

  /// Returns when there are none.
  func allGone() async {
    await withCheckedContinuation { continuation in
      let areGone = state.withLock { state in
        if !state.connections.isEmpty { state.waiters.append(continuation) }
        return state.connections.isEmpty
      }
      if areGone { continuation.resume() }
    }
  }
}
