internal import MeshProtocol
internal import Money

/// The ids that the ledger has partitions for.
struct IDWindow: Sendable, Hashable {
  /// How far a caller's clock may be ahead of ours.
  static let leadMilliseconds: Int64 = 60_000

  /// From the first day of the oldest attached month…
  var firstDay: CivilDate
  /// … to before the first day after the newest one.
  var endDay: CivilDate

  /// - Throws: INVALID_ARGUMENT if the id's time is outside; UNAVAILABLE if its month should exist and does not.
  func check(_ id: UUID128, field: String, now: Timestamp) throws(RPCError) {
    let milliseconds = id.timestampMilliseconds
    guard milliseconds <= now.milliseconds + Self.leadMilliseconds else {
      throw RPCError(
        .invalidArgument,
        "\(field) \(id) is of the future (\(Timestamp(microseconds: milliseconds * 1000))): a UUIDv7 or UUIDv8 begins with milliseconds since 1970; set the clock of the machine that made it",
        executed: .no)
    }
    guard milliseconds >= firstDay.daysSinceEpoch * 86_400_000 else {
      throw RPCError(
        .invalidArgument,
        "\(field) \(id) is of \(Timestamp(microseconds: milliseconds * 1000)), before \(firstDay), the oldest month that takes postings; make a new id",
        executed: .no)
    }
    guard milliseconds < endDay.daysSinceEpoch * 86_400_000 else {
      throw RPCError(
        .unavailable, "the ledger has no partition for \(Timestamp(microseconds: milliseconds * 1000)) yet; its operators are alarmed",
        executed: .no)
    }
  }
}
