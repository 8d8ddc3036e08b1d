/// A batch, decided and hashed: what one statement writes.
public struct Batch: Sendable, Hashable {
  public var header: BatchHeader
  public var hash: [UInt8]
  public var accounts: [AccountRow]
  public var events: [AccountEventRow]
  /// `row_hash` of each event.
  public var eventHashes: [[UInt8]]
  public var transfers: [TransferRow]
  /// `row_hash` of each transfer.
  public var transferHashes: [[UInt8]]
  /// Debit then credit of each transfer that moved money, in the order of `transfers`.
  public var entries: [EntryRow]

  /// True: nothing new was decided, there is nothing to write.
  public var isEmpty: Bool { transfers.isEmpty && events.isEmpty }
}
