/// The instant by which the current task's work must be done. Statements take their `statement_timeout` from what remains.
public enum Deadline {
  /// Nil: nobody set one; the connection's own statement limit holds.
  @TaskLocal public static var current: ContinuousClock.Instant?

  /// What remains until the deadline, or nil without one. Not below zero.
  public static var remaining: Duration? {
    current.map { max(.zero, ContinuousClock.now.duration(to: $0)) }
  }
}
