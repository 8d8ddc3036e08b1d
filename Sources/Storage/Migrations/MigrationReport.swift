/// What a run of the migrator found and did.
public struct MigrationReport: Sendable, Hashable {
  public struct Step: Sendable, Hashable {
    public let version: Int
    public let name: String
  }

  public let schema: String
  /// Applied by this run, in order.
  public internal(set) var applied: [Step] = []
  /// How many had been applied before.
  public internal(set) var alreadyApplied = 0
}
