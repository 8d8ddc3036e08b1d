public import Money

/// Everything a decision reads, in memory: accounts with balances and holds, and the postings decided lately.
///
/// A pure value. It is built from the ledger's rows, told before each batch what the database knows of the ids that it does not
/// hold (`unknowns(of:)`, `begin(_:knowing:)`), decides requests one after the other, and hands back the batch of rows. If those
/// rows cannot be committed, the whole value is thrown away and built again.
public struct LedgerState: Sendable {
  /// What the first batch to come has to stand on.
  public struct Head: Sendable, Hashable {
    public var number: Int64
    public var hash: [UInt8]
    public var createdAt: Timestamp

    public init(number: Int64, hash: [UInt8], createdAt: Timestamp) {
      self.number = number
      self.hash = hash
      self.createdAt = createdAt
    }
  }

  /// How much of the past is held. Some 400 bytes each.
  public struct Limits: Sendable, Hashable {
    public var recentTransfers: Int
    public var recentEvents: Int

    public init(recentTransfers: Int = 131_072, recentEvents: Int = 16_384) {
      self.recentTransfers = recentTransfers
      self.recentEvents = recentEvents
    }
  }

  public private(set) var head: Head
  public let epoch: Int64
  let limits: Limits

  /// `accounts[n - 1]` has the number n: numbers have no gaps.
  public internal(set) var accounts: [LedgerAccount] = []
  var numbers: [AccountID: Int64] = [:]
  var recent: RecentTransfers
  var recentEvents: [UUID128: AccountEventFact] = [:]
  private var recentEventOrder: [UUID128] = []

  /// What the database knows of ids outside `recent`, for the batch being decided; and what the batch adds to it.
  var briefing = Briefing()
  var draft: BatchDraft
  /// While a linked group is being decided: how to undo it.
  var journal: Journal?
  /// Accounts with enough movements for a checkpoint.
  var checkpointsDue: Set<Int64> = []

  /// An empty ledger on the given head; `restore` adds what the database holds.
  /// - Parameter recentFrom: all postings with an id of this instant or later will be told by `restore(_:fact:)`.
  public init(head: Head, epoch: Int64, recentFrom: Timestamp, limits: Limits = Limits()) {
    self.head = head
    self.epoch = epoch
    self.limits = limits
    recent = RecentTransfers(capacity: limits.recentTransfers, horizonMilliseconds: recentFrom.milliseconds)
    draft = BatchDraft(number: head.number + 1, bookedAt: head.createdAt)
  }

  // MARK: Building it

  /// Adds an account, in the order of their numbers.
  /// - Throws: `LedgerStateError.accountNumberGap` if a number is missing: the ledger's rows are damaged.
  public mutating func restore(_ account: LedgerAccount) throws(LedgerStateError) {
    guard account.number == Int64(accounts.count) + 1 else {
      throw .accountNumberGap(expected: Int64(accounts.count) + 1, found: account.number)
    }
    accounts.append(account)
    numbers[account.id] = account.number
    if account.movementsSinceCheckpoint >= Checkpoint.interval { checkpointsDue.insert(account.number) }
  }

  /// Adds a posting decided before, if its id is within the window.
  public mutating func restore(_ id: UUID128, _ fact: TransferFact) {
    if recent.covers(id) { recent.set(id, fact) }
  }

  // MARK: Reading it

  public func account(_ id: AccountID) -> LedgerAccount? { numbers[id].map { accounts[Int($0) - 1] } }

  /// The ids that have to be looked up in the database before these requests are decided.
  public func unknowns(of requests: some Sequence<LedgerRequest>) -> Unknowns {
    var unknowns = Unknowns()
    for request in requests {
      switch request.body {
      case .post(let postings, _):
        for posting in postings {
          if !recent.covers(posting.id.uuid) { unknowns.transfers.insert(posting.id.uuid) }
          if let linked = posting.linked, !recent.covers(linked.uuid) { unknowns.transfers.insert(linked.uuid) }
        }
      case .command(let commands):
        for command in commands where recentEvents[command.eventID] == nil { unknowns.events.insert(command.eventID) }
      }
    }
    return unknowns
  }

  // MARK: A batch

  /// Starts a batch. Its booking time is `time`, or just after the last batch's if the clock has not moved on.
  /// - Parameter known: what the database has under `unknowns(of:)`; what is missing there does not exist.
  public mutating func begin(at time: Timestamp, knowing known: Briefing) {
    briefing = known
    let next = Timestamp(microseconds: head.createdAt.microseconds + 1)
    draft = BatchDraft(number: head.number + 1, bookedAt: max(time, next))
  }

  /// Ends the batch: its rows, hashed, to be written on top of the head that was. Nil if nothing new was decided.
  public mutating func finish() -> Batch? {
    briefing = Briefing()
    guard !draft.isEmpty else { return nil }
    let batch = draft.sealed(previousHash: head.hash, epoch: epoch)
    head = Head(number: batch.header.number, hash: batch.hash, createdAt: batch.header.createdAt)
    recent.shrink()
    return batch
  }

  /// The accounts that are due for a checkpoint, as they are now; at most `limit`, the rest stays due.
  /// Only to be asked between a committed batch and the next one.
  public mutating func takeCheckpoints(limit: Int) -> [Checkpoint] {
    var taken: [Checkpoint] = []
    for number in checkpointsDue.prefix(limit).sorted() {
      let account = accounts[Int(number) - 1]
      taken.append(
        Checkpoint(
          accountNumber: number, asOf: head.createdAt, accountSequence: account.sequence, balance: account.balance,
          held: account.held))
      accounts[Int(number) - 1].movementsSinceCheckpoint = 0
      checkpointsDue.remove(number)
    }
    return taken
  }

  // MARK: Facts

  func fact(_ id: UUID128) -> TransferFact? { recent.covers(id) ? recent[id] : briefing.transfers[id] }

  mutating func setFact(_ id: UUID128, _ fact: TransferFact) {
    if journal != nil {
      let before = self.fact(id)
      journal?.facts.append((id, before))
    }
    if recent.covers(id) { recent.set(id, fact) } else { briefing.transfers[id] = fact }
  }

  mutating func restoreFact(_ id: UUID128, _ fact: TransferFact?) {
    if recent.covers(id) {
      if let fact { recent.set(id, fact) } else { recent.remove(id) }
    } else {
      briefing.transfers[id] = fact
    }
  }

  func eventFact(_ id: UUID128) -> AccountEventFact? { recentEvents[id] ?? briefing.events[id] }

  mutating func setEventFact(_ id: UUID128, _ fact: AccountEventFact) {
    recentEvents[id] = fact
    recentEventOrder.append(id)
    guard recentEventOrder.count > limits.recentEvents else { return }
    let forgotten = recentEventOrder.count - limits.recentEvents * 3 / 4
    // An event decided in this batch must stay known until the batch ends.
    for id in recentEventOrder.prefix(forgotten) {
      briefing.events[id] = recentEvents.removeValue(forKey: id)
    }
    recentEventOrder.removeFirst(forgotten)
  }
}
