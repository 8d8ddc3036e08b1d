internal import Digest
public import Money

/// A batch without its rows: a row of `ledger.batches`, the hash apart.
public struct BatchHeader: Sendable, Hashable {
  /// The batch that every chain starts from: it is in the first migration, and has no rows.
  public static let genesisHash: [UInt8] = SHA256.hash("florin.ledger.genesis")

  /// 1, 2, 3, …; the genesis batch is 0.
  public var number: Int64
  public var previousHash: [UInt8]
  /// The writer's.
  public var epoch: Int64
  public var transferCount: Int64
  public var entryCount: Int64
  public var eventCount: Int64
  /// The booking time of everything in it.
  public var createdAt: Timestamp

  public init(
    number: Int64, previousHash: [UInt8], epoch: Int64, transferCount: Int64, entryCount: Int64, eventCount: Int64,
    createdAt: Timestamp
  ) {
    self.number = number
    self.previousHash = previousHash
    self.epoch = epoch
    self.transferCount = transferCount
    self.entryCount = entryCount
    self.eventCount = eventCount
    self.createdAt = createdAt
  }

  /// The version of the encoding, stored beside the hash.
  public static var hashVersion: Int64 { CanonicalEncoder.version }

  /// SHA-256 over every column of the batch and the hashes of its rows in the order of their positions. 32 bytes.
  public func hash(rows: [[UInt8]]) -> [UInt8] {
    var encoder = CanonicalEncoder(domain: "florin.ledger.batch", reserving: 256 + rows.count * 36)
    encoder.append(number)
    encoder.append(number - 1)
    encoder.append(previousHash)
    encoder.append(epoch)
    encoder.append(transferCount)
    encoder.append(entryCount)
    encoder.append(eventCount)
    encoder.append(createdAt)
    encoder.append(Int64(rows.count))
    for row in rows { encoder.append(row) }
    return SHA256.hash(encoder.bytes)
  }
}
