internal import Money

/// The rows of the batch being decided.
struct BatchDraft {
  let number: Int64
  let bookedAt: Timestamp
  var accounts: [AccountRow] = []
  var events: [AccountEventRow] = []
  var transfers: [TransferRow] = []
  var entries: [EntryRow] = []

  var isEmpty: Bool { transfers.isEmpty && events.isEmpty }

  var nextPosition: Int64 { Int64(transfers.count + events.count) }

  func sealed(previousHash: [UInt8], epoch: Int64) -> Batch {
    var byPosition = [[UInt8]](repeating: [], count: transfers.count + events.count)
    var nextEntry = 0
    let transferHashes = transfers.map { row in
      let own = row.outcome == .posted && row.kind.movesMoney ? Array(entries[nextEntry..<nextEntry + 2]) : []
      nextEntry += own.count
      let hash = row.hash(entries: own)
      byPosition[Int(row.position)] = hash
      return hash
    }
    var nextAccount = 0
    let eventHashes = events.map { row in
      let opens = row.outcome == .posted && row.kind == .opened
      let hash = row.hash(opened: opens ? accounts[nextAccount] : nil)
      nextAccount += opens ? 1 : 0
      byPosition[Int(row.position)] = hash
      return hash
    }
    let header = BatchHeader(
      number: number, previousHash: previousHash, epoch: epoch, transferCount: Int64(transfers.count),
      entryCount: Int64(entries.count), eventCount: Int64(events.count), createdAt: bookedAt)
    return Batch(
      header: header, hash: header.hash(rows: byPosition), accounts: accounts, events: events, eventHashes: eventHashes,
      transfers: transfers, transferHashes: transferHashes, entries: entries)
  }
}
