package import MeshProtocol
internal import Metrics
internal import Synchronization

/// Counts and times calls by method and status code. Handles are made once for each pair: looking them up by name at every call would
/// cost more than the call's codec.
package final class CallMetrics: Sendable {
  /// Which end of a call is measured.
  package enum Side: String, Sendable { case client, server }

  private struct Key: Hashable {
    var method: String
    var code: RPCCode
  }

  private struct Handles {
    var calls: Counter
    var duration: Timer
  }

  private let side: Side
  private let handles = Mutex<[Key: Handles]>([:])

  package init(side: Side) { self.side = side }

  /// - Parameter method: a name that exists; never what a peer made up, or the series would have no bound.
  package func finished(method: String, code: RPCCode, after duration: Duration) {
    let key = Key(method: method, code: code)
    let found = handles.withLock { known in
      if let handles = known[key] { return handles }
      let made = Handles(
        calls: Counter(label: "rpc_\(side.rawValue)_calls_total", dimensions: [("method", method), ("code", code.name)]),
        duration: Timer(label: "rpc_\(side.rawValue)_duration_seconds", dimensions: [("method", method)]))
      known[key] = made
      return made
    }
    found.calls.increment()
    found.duration.recordNanoseconds(duration.wholeNanoseconds)
  }
}
