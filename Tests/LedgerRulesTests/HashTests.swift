import Digest
import LedgerRules
import Money
import Testing

@Suite struct HashTests {
  private func sample() throws -> Batch {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    _ = ledger.decide([ledger.transfer(a, b, 30), ledger.hold(b, 30)], linked: true)
    return try #require(ledger.batches.last)
  }

  @Test("changing any column of a transfer or of its entries changes the row's hash")
  func everyColumnCounts() throws {
    let batch = try sample()
    let row = batch.transfers[0]
    let entries = batch.entries
    let original = row.hash(entries: entries)
    #expect(original == batch.transferHashes[0])
    let changes: [(inout TransferRow) -> Void] = [
      { $0.id = .random() }, { $0.batchNumber += 1 }, { $0.position += 1 }, { $0.kind = .reversal }, { $0.outcome = .declined },
      { $0.reason = "" }, { $0.debit = nil }, { $0.credit = 9 }, { $0.amount = 31 }, { $0.currency = "JPY" }, { $0.type = "x" },
      { $0.reference = .random() }, { $0.linked = .random() }, { $0.groupPosition = nil },
      { $0.valueDate = CivilDate(daysSinceEpoch: 1) }, { $0.unknownAccount = "" }, { $0.requestedBy = "" },
      { $0.fingerprint[0] ^= 1 }, { $0.createdAt = $0.createdAt.adding(seconds: 1) },
    ]
    var seen: Set<[UInt8]> = [original]
    for change in changes {
      var changed = row
      change(&changed)
      #expect(seen.insert(changed.hash(entries: entries)).inserted)
    }
    let entryChanges: [(inout EntryRow) -> Void] = [
      { $0.accountNumber += 1 }, { $0.accountSequence += 1 }, { $0.direction = $0.direction == .debit ? .credit : .debit },
      { $0.amount += 1 }, { $0.transferID = .random() }, { $0.createdAt = $0.createdAt.adding(seconds: 1) },
    ]
    for index in 0..<2 {
      for change in entryChanges {
        var changed = entries
        change(&changed[index])
        #expect(seen.insert(row.hash(entries: changed)).inserted)
      }
    }
    #expect(seen.insert(row.hash(entries: [])).inserted)
    #expect(seen.insert(row.hash(entries: entries.reversed())).inserted)
  }

  @Test("changing any column of a batch, or swapping or dropping a row, changes the batch's hash")
  func everyRowCounts() throws {
    let batch = try sample()
    let rows = batch.transferHashes
    #expect(batch.header.hash(rows: rows) == batch.hash)
    let changes: [(inout BatchHeader) -> Void] = [
      { $0.number += 1 }, { $0.previousHash[31] ^= 1 }, { $0.epoch += 1 }, { $0.transferCount += 1 }, { $0.entryCount += 1 },
      { $0.eventCount += 1 }, { $0.createdAt = $0.createdAt.adding(seconds: 1) },
    ]
    var seen: Set<[UInt8]> = [batch.hash]
    for change in changes {
      var changed = batch.header
      change(&changed)
      #expect(seen.insert(changed.hash(rows: rows)).inserted)
    }
    #expect(seen.insert(batch.header.hash(rows: rows.reversed())).inserted)
    #expect(seen.insert(batch.header.hash(rows: Array(rows.dropLast()))).inserted)
  }

  @Test("each batch stands on the hash of the one before, the first on the genesis")
  func chain() throws {
    var ledger = TestLedger()
    let a = ledger.open("A", funded: 100)
    let b = ledger.open("B")
    for _ in 0..<5 { _ = ledger.decide(ledger.transfer(a, b, 1)) }
    var previous = BatchHeader.genesisHash
    for (index, batch) in ledger.batches.enumerated() {
      #expect(batch.header.number == Int64(index) + 1)
      #expect(batch.header.previousHash == previous)
      previous = batch.hash
    }
  }

  @Test("the encoding of version 1 never changes: these hashes are on disk")
  func goldenHash() throws {
    let id = try #require(UUID128("01a2053c-6610-7000-8000-000000000001"))
    let at = Timestamp(microseconds: 1_800_000_000_000_000)
    let row = TransferRow(
      id: id, batchNumber: 7, position: 0, kind: .transfer, outcome: .posted, debit: 1, credit: 2, amount: 10_000, currency: "GBP",
      type: "payment_debit", reference: id, valueDate: CivilDate(daysSinceEpoch: 20_000), requestedBy: "payment",
      fingerprint: [UInt8](repeating: 7, count: 16), createdAt: at)
    let entries = [
      EntryRow(accountNumber: 1, accountSequence: 4, direction: .debit, amount: 10_000, transferID: id, createdAt: at),
      EntryRow(accountNumber: 2, accountSequence: 9, direction: .credit, amount: 10_000, transferID: id, createdAt: at),
    ]
    let hash = row.hash(entries: entries)
    #expect(hexadecimal(hash) == "d2c0f46fcdb00a5aa98c95bdd94460139480c493558d215abba0662ca7c35eae")
    let header = BatchHeader(
      number: 7, previousHash: BatchHeader.genesisHash, epoch: 3, transferCount: 1, entryCount: 2, eventCount: 0, createdAt: at)
    #expect(hexadecimal(header.hash(rows: [hash])) == "26596651efd86c82f925038e969acd488e4848705e1aa3a0c19c35d77af0a898")
  }
}
