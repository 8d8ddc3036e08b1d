internal import Digest
internal import LedgerRules
internal import Money

/// The ledger once more, from its first row: batch by batch, every hash computed again and every rule checked again.
///
/// A pure value; what it needs of a batch is handed to it. It knows the accounts, and nothing else that grows.
struct LedgerReplay: Sendable {
  struct Account: Sendable {
    var row: AccountRow
    var isOpened = false
    var status = AccountStatus.open
    var balance: Int64 = 0
    var held: Int64 = 0
    var sequence: Int64 = 0
  }

  /// One batch with everything that belongs to it.
  struct Page: Sendable {
    var batch: StoredBatch
    var transfers: [StoredTransfer]
    var events: [StoredEvent]
    /// By transfer; debits first.
    var entries: [UUID128: [EntryRow]]
    var checkpoints: [StoredCheckpoint]
    /// The transfers that this batch's reversals and releases name.
    var originals: [UUID128: TransferRow]
  }

  private(set) var accounts: [Int64: Account]
  private(set) var end: (number: Int64, hash: [UInt8]) = (-1, [])
  private var lastTime: Timestamp?
  private(set) var transferCount: Int64 = 0
  private(set) var entryCount: Int64 = 0
  private(set) var eventCount: Int64 = 0

  var chain = InvariantTally(
    "ledger.chain", "every batch and every row is what was hashed, and every batch stands on the one before")
  var strays = InvariantTally("ledger.strays", "every row belongs to a batch, and every account was opened by an event")
  var zeroSum = InvariantTally(
    "ledger.zero_sum", "every posted transfer has one debit and one credit of its amount, so transfers, currencies and ledger sum to zero")
  var sequences = InvariantTally("ledger.sequences", "the entries of each account are numbered without gaps, in the order of booking")
  var limits = InvariantTally(
    "ledger.limits", "no limited account was below zero, holds included, after any posting of its history")
  var links = InvariantTally(
    "ledger.links", "reversals undo a posted transfer whole, releases end a posted hold, and linked groups are all or none")
  var statuses = InvariantTally(
    "ledger.statuses", "no transfer or hold touched an account that was frozen or closed, and accounts were closed empty")
  var checkpoints = InvariantTally(
    "ledger.checkpoints", "the balance from any checkpoint and what came after is the sum of all entries from the first")

  init(accounts rows: [AccountRow]) {
    accounts = Dictionary(rows.map { ($0.number, Account(row: $0)) }) { first, _ in first }
  }

  // MARK: The chain

  mutating func replay(_ page: Page) {
    let header = page.batch.header
    checkChain(page.batch)
    var hashes: [(position: Int64, hash: [UInt8])] = []
    for stored in page.transfers {
      let entries = page.entries[stored.row.id] ?? []
      checkHash(stored, entries, header)
      hashes.append((stored.row.position, stored.hash))
    }
    for stored in page.events {
      checkHash(stored, header)
      hashes.append((stored.row.position, stored.hash))
    }
    checkCounts(page)
    hashes.sort { $0.position < $1.position }
    if header.number > 0, header.hash(rows: hashes.map(\.hash)) != page.batch.hash {
      chain.violated(
        "batches", "\(header.number)",
        "its hash does not follow from its columns and rows: a column of it, or a row and that row's hash, was changed, added or removed")
    }
    replayRows(page)
    for checkpoint in page.checkpoints { check(checkpoint) }
    end = (header.number, page.batch.hash)
    lastTime = header.createdAt
    transferCount += Int64(page.transfers.count)
    eventCount += Int64(page.events.count)
    entryCount += page.entries.values.reduce(0) { $0 + Int64($1.count) }
  }

  private mutating func checkChain(_ batch: StoredBatch) {
    let header = batch.header
    let key = "\(header.number)"
    chain.checked += 1
    if header.number != end.number + 1 {
      chain.violated("batches", "\(end.number + 1)", "it is missing: the next batch is \(header.number)")
    } else if header.number == 0 {
      let isGenesis =
        batch.hash == BatchHeader.genesisHash && batch.previousNumber == nil && header.previousHash.isEmpty && header.epoch == 0
        && header.transferCount == 0 && header.entryCount == 0 && header.eventCount == 0 && header.createdAt.microseconds == 0
      if !isGenesis { chain.violated("batches", key, "it is not the genesis batch that every ledger starts from") }
    } else if batch.previousNumber != header.number - 1 || header.previousHash != end.hash {
      chain.violated("batches", key, "it does not stand on the batch before it")
    }
    if batch.hashVersion != BatchHeader.hashVersion {
      chain.violated("batches", key, "its hash_version is \(batch.hashVersion), which this program does not know")
    }
    if let lastTime, header.createdAt <= lastTime {
      chain.violated("batches", key, "it was booked at \(header.createdAt), not after the batch before it")
    }
  }

  private mutating func checkCounts(_ page: Page) {
    let header = page.batch.header
    let entries = page.entries.values.reduce(0) { $0 + Int64($1.count) }
    for (name, said, found) in [
      ("transfers", header.transferCount, Int64(page.transfers.count)), ("entries", header.entryCount, entries),
      ("account_events", header.eventCount, Int64(page.events.count)),
    ] where said != found {
      chain.violated("batches", "\(header.number)", "it was committed with \(said) \(name), and \(found) are there")
    }
    let known = Set(page.transfers.map(\.row.id))
    for (id, entries) in page.entries.sorted(by: { $0.key < $1.key }) where !known.contains(id) {
      chain.violated("entries", entries.first?.key ?? "", "its transfer \(id) is not in the batch of its time")
    }
  }

  private mutating func checkHash(_ stored: StoredTransfer, _ entries: [EntryRow], _ header: BatchHeader) {
    chain.checked += 1 + entries.count
    if stored.row.hash(entries: entries) != stored.hash {
      chain.violated(
        "transfers", "\(stored.row.id)",
        "the row, or one of its \(entries.count) entries, is not what was hashed in batch \(header.number)")
    } else if stored.row.createdAt != header.createdAt {
      chain.violated("transfers", "\(stored.row.id)", "its time is not that of its batch, \(header.number)")
    }
  }

  private mutating func checkHash(_ stored: StoredEvent, _ header: BatchHeader) {
    chain.checked += 1
    let row = stored.row
    let opened = row.kind == .opened && row.outcome == .posted ? row.accountNumber.flatMap { accounts[$0]?.row } : nil
    if row.hash(opened: opened) != stored.hash {
      chain.violated(
        "account_events", "\(row.id)",
        "the row, or the row of account \(row.accountID) that it opened, is not what was hashed in batch \(header.number)")
    } else if row.createdAt != header.createdAt {
      chain.violated("account_events", "\(row.id)", "its time is not that of its batch, \(header.number)")
    }
  }

  // MARK: The rules

  private mutating func replayRows(_ page: Page) {
    var events = page.events.sorted { $0.row.position < $1.row.position }[...]
    let transfers = page.transfers.sorted { $0.row.position < $1.row.position }
    var groups: [Int64: Set<PostingOutcome>] = [:]
    // A link may name a transfer of this very batch.
    let here = Dictionary(transfers.map { ($0.row.id, $0.row) }) { first, _ in first }
    for transfer in transfers {
      while let event = events.first, event.row.position < transfer.row.position {
        replay(event.row)
        events.removeFirst()
      }
      let row = transfer.row
      if let group = row.groupPosition { groups[group, default: []].insert(row.outcome) }
      replay(row, page.entries[row.id] ?? [], original: row.linked.flatMap { here[$0] ?? page.originals[$0] })
    }
    for event in events { replay(event.row) }
    for (group, outcomes) in groups.sorted(by: { $0.key < $1.key }) where outcomes.contains(.posted) && outcomes.count > 1 {
      links.violated("batches", "\(page.batch.header.number)", "the linked group at position \(group) was posted in part")
    }
  }

  private mutating func replay(_ row: AccountEventRow) {
    statuses.checked += 1
    guard row.outcome == .posted, let number = row.accountNumber, let account = accounts[number] else { return }
    switch row.kind {
    case .opened: accounts[number]?.isOpened = true
    case .statusSet:
      if row.status == .closed, account.balance != 0 || account.held != 0 {
        statuses.violated("account_events", "\(row.id)", "account \(row.accountID) was closed with a balance or an open hold")
      }
    }
    accounts[number]?.status = row.status
  }

  private mutating func replay(_ row: TransferRow, _ entries: [EntryRow], original: TransferRow?) {
    let key = "\(row.id)"
    guard row.outcome == .posted else {
      if !entries.isEmpty { zeroSum.violated("transfers", key, "it was not posted, and has entries") }
      return
    }
    checkLink(row, original)
    switch row.kind {
    case .transfer, .reversal:
      checkLegs(row, entries)
      for entry in entries { apply(entry) }
    case .hold: hold(row, row.amount ?? 0)
    case .release: hold(row, -(row.amount ?? 0))
    case .tombstone: links.violated("transfers", key, "a tombstone cannot be posted")
    }
    if !row.kind.movesMoney, !entries.isEmpty {
      zeroSum.violated("transfers", key, "a \(row.kind.rawValue) has no entries, but there are some")
    }
    for number in [row.debit, row.credit].compactMap(\.self) { checkAccount(number, row) }
  }

  private mutating func checkLegs(_ row: TransferRow, _ entries: [EntryRow]) {
    zeroSum.checked += 1
    let wanted = [(row.debit, EntryDirection.debit), (row.credit, .credit)]
    let isBalanced =
      entries.count == 2
      && zip(entries, wanted).allSatisfy { entry, leg in
        entry.accountNumber == leg.0 && entry.direction == leg.1 && entry.amount == row.amount && entry.createdAt == row.createdAt
      }
    if !isBalanced { zeroSum.violated("transfers", "\(row.id)", "its entries are not one debit and one credit of its amount") }
    for number in [row.debit, row.credit].compactMap(\.self) where accounts[number]?.row.currency != row.currency {
      zeroSum.violated("transfers", "\(row.id)", "it is in \(row.currency ?? "no currency"), account number \(number) is not")
    }
  }

  private mutating func apply(_ entry: EntryRow) {
    sequences.checked += 1
    guard let account = accounts[entry.accountNumber] else {
      zeroSum.violated("entries", entry.key, "there is no account of that number")
      return
    }
    if entry.accountSequence != account.sequence + 1 {
      sequences.violated("entries", entry.key, "the entry before it in its account is number \(account.sequence)")
    }
    accounts[entry.accountNumber]?.sequence = entry.accountSequence
    // Wrapping: a sum beyond Int64 is reported by the limits, not by a crash.
    accounts[entry.accountNumber]?.balance = account.balance &+ entry.direction.sign &* entry.amount
  }

  private mutating func hold(_ row: TransferRow, _ amount: Int64) {
    guard let number = row.debit, let account = accounts[number] else {
      links.violated("transfers", "\(row.id)", "there is no account for it")
      return
    }
    accounts[number]?.held = account.held &+ amount
    if account.held &+ amount < 0 { links.violated("transfers", "\(row.id)", "more was released than held on \(account.row.id)") }
  }

  private mutating func checkAccount(_ number: Int64, _ row: TransferRow) {
    guard let account = accounts[number] else { return }
    limits.checked += 1
    if account.row.policy == .limited, account.balance &- account.held < 0 || account.balance < 0 {
      limits.violated(
        "transfers", "\(row.id)", "after it \(account.row.id) stands at \(account.balance) with \(account.held) held (minor units)")
    }
    guard row.kind == .transfer || row.kind == .hold else { return }
    if account.status != .open {
      statuses.violated("transfers", "\(row.id)", "it touched \(account.row.id), which was \(account.status.rawValue)")
    } else if !account.isOpened {
      statuses.violated("transfers", "\(row.id)", "it touched \(account.row.id) before that was opened")
    }
  }

  private mutating func checkLink(_ row: TransferRow, _ original: TransferRow?) {
    guard row.kind == .reversal || row.kind == .release else { return }
    links.checked += 1
    let key = "\(row.id)"
    guard let original else { return links.violated("transfers", key, "what it names does not exist") }
    let isEarlier = (original.batchNumber, original.position) < (row.batchNumber, row.position)
    let fits =
      row.kind == .reversal
      ? original.kind == .transfer && original.debit == row.credit && original.credit == row.debit
      : original.kind == .hold && original.debit == row.debit
    if !isEarlier || original.outcome != .posted || !fits || original.amount != row.amount || original.currency != row.currency {
      links.violated("transfers", key, "it does not undo \(original.id) whole")
    }
  }

  private mutating func check(_ checkpoint: StoredCheckpoint) {
    checkpoints.checked += 1
    guard let account = accounts[checkpoint.account] else {
      return checkpoints.violated("checkpoints", "\(checkpoint.account) \(checkpoint.asOf)", "there is no such account")
    }
    if checkpoint.balance != account.balance || checkpoint.held != account.held || checkpoint.sequence != account.sequence {
      checkpoints.violated(
        "checkpoints", "\(checkpoint.account) \(checkpoint.asOf)",
        "it says balance \(checkpoint.balance), held \(checkpoint.held) after entry \(checkpoint.sequence); "
          + "the entries say \(account.balance), \(account.held) after \(account.sequence)")
    }
  }
}
