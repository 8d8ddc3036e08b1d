public import Money

/// An account at the end of a batch, for the cache `derived.checkpoints`: a balance is the newest checkpoint and what came after.
public struct Checkpoint: Sendable, Hashable {
  /// Movements of an account from one checkpoint to the next.
  public static let interval: Int64 = 64

  public var accountNumber: Int64
  /// The booking time of the batch that it is the end of.
  public var asOf: Timestamp
  /// Of the last entry.
  public var accountSequence: Int64
  /// Minor units.
  public var balance: Int64
  public var held: Int64
}
