/// One service as the supervisor sees it. Instants are durations since an origin of the supervisor's own.
struct ServiceRecord: Sendable, Equatable {
  enum Phase: String, Sendable, Codable {
    /// Waits for its dependencies, or has not been asked for.
    case created
    /// A step before its start runs.
    case preparing
    /// Its process runs.
    case running
    /// Its process runs, and a step after its start does.
    case provisioning
    /// It ended and will be started again.
    case restarting
    /// It has been told to stop.
    case stopping
    /// It ended, and stays so.
    case exited
    /// A step failed, or it could not be started.
    case failed
  }

  enum Health: String, Sendable, Codable {
    /// Nobody asks.
    case none
    case starting
    case healthy
    case unhealthy
  }

  struct Stop: Sendable, Equatable {
    var signalsSent: Int
    var nextSignalAt: Duration
  }

  let plan: ServicePlan
  var phase = Phase.created
  var health = Health.none
  /// The user wants it to run.
  var wanted = false
  var isPrepared = false
  var isProvisioned = false
  /// Of `preparation` or `provisioning`, whichever is under way.
  var stepIndex = 0
  var step: ProcessIdentity?
  var stepDeadline: Duration?
  /// It has been killed for its deadline, and its end is still to come.
  var stepTimedOut = false
  var process: ProcessIdentity?
  var startedAt: Duration?
  /// Automatic restarts since the user started it.
  var restarts = 0
  /// Ends in a row, each after less than `RestartBackoff.settledAfter`.
  var crashesInRow = 0
  var hasBeenHealthy = false
  var restartAt: Duration?
  var stop: Stop?
  /// Start it again when it has stopped.
  var startsAgain = false
  /// Killed at the user's wish: the restart policy does not apply.
  var isLeftAlone = false
  var lastExit: ExitStatus?
  /// Why it failed, or is not healthy.
  var detail: String?
  /// Set when a step failed while the process ran: it is stopped, and then failed.
  var failure: String?
  var isProbing = false
  var nextProbeAt: Duration?
  var probeFailures = 0

  init(plan: ServicePlan) { self.plan = plan }

  /// No process of it is left.
  var isAtRest: Bool { process == nil && step == nil }

  /// It is as it should be: healthy if anybody asks, else running, or finished with success.
  var isUp: Bool {
    switch phase {
    case .running: plan.probe == nil || health == .healthy
    case .exited: lastExit?.isSuccess ?? false
    default: false
    }
  }
}

/// How long to wait before an ended service is started again: 100 ms, doubled with each end, at most 10 s.
/// (Docker's schedule, with a lower ceiling: somebody is watching.)
enum RestartBackoff {
  /// A service that ran this long has not crashed in a row.
  static let settledAfter = Duration.seconds(10)

  static func delay(crashesInRow: Int) -> Duration {
    let doublings = min(max(crashesInRow - 1, 0), 10)
    return min(.milliseconds(100 * (1 << doublings)), .seconds(10))
  }
}
