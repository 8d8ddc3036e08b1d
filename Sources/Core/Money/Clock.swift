#if canImport(Glibc)
  internal import Glibc
#endif

/// Where code reads the wall clock. It is handed in, never reached for, so that a simulation can own time.
public protocol WallClock: Sendable {
  var now: Timestamp { get }
}

/// The machine's clock.
public struct SystemWallClock: WallClock {
  public init() {}

  public var now: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }
}
