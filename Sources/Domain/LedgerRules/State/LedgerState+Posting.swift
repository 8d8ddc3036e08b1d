internal import Money

extension LedgerState {
  /// Decides one request; one answer for each of its postings or commands, in order.
  public mutating func decide(_ request: LedgerRequest) -> [Decision] {
    switch request.body {
    case .post(let postings, let linked):
      linked && postings.count > 1
        ? decideGroup(postings, by: request.requestedBy) : postings.map { decide($0, by: request.requestedBy) }
    case .command(let commands): commands.map { decide($0, by: request.requestedBy) }
    }
  }

  private mutating func decide(_ posting: Posting, by requester: String) -> Decision {
    if let fact = fact(posting.id.uuid) { return fact.answer(to: posting) }
    switch judge(posting) {
    case .success(let movement): return accept(posting, movement, group: nil, by: requester)
    case .failure(let refusal): return refuse(posting, refusal, group: nil, by: requester)
    }
  }

  /// All or none. A member that was decided before cannot be undone, nor joined: then the others are declined.
  private mutating func decideGroup(_ postings: [Posting], by requester: String) -> [Decision] {
    let group = draft.nextPosition
    let decidedBefore = postings.count { fact($0.id.uuid) != nil }
    if decidedBefore == postings.count { return postings.map { decide($0, by: requester) } }
    var failure: (index: Int, refusal: Refusal)?
    if decidedBefore == 0 {
      journal = Journal(transferCount: draft.transfers.count, entryCount: draft.entries.count)
      var decisions: [Decision] = []
      for (index, posting) in postings.enumerated() {
        // Under an id that an earlier member of this very group has.
        guard fact(posting.id.uuid) == nil else {
          failure = (postings.count, Refusal(.linkedDeclined))
          break
        }
        switch judge(posting) {
        case .success(let movement): decisions.append(accept(posting, movement, group: group, by: requester))
        case .failure(let refusal): failure = (index, refusal)
        }
        if failure != nil { break }
      }
      if failure == nil {
        journal = nil
        return decisions
      }
      rollBack()
    }
    return postings.enumerated().map { index, posting in
      if let fact = fact(posting.id.uuid) { return fact.answer(to: posting) }
      let refusal = failure.flatMap { $0.index == index ? $0.refusal : nil } ?? Refusal(.linkedDeclined)
      return refuse(posting, refusal, group: group, by: requester)
    }
  }

  // MARK: Applying

  private mutating func accept(_ posting: Posting, _ movement: Movement, group: Int64?, by requester: String) -> Decision {
    var row = newRow(posting, outcome: .posted, group: group, by: requester)
    switch movement {
    case .money(let debit, let credit, let amount, let currency):
      row.debit = debit
      row.credit = credit
      row.amount = amount
      row.currency = currency
      row.valueDate = row.valueDate ?? CivilDate(daysSinceEpoch: draft.bookedAt.daysSinceEpoch)
      addEntry(debit, .debit, amount, posting.id.uuid)
      addEntry(credit, .credit, amount, posting.id.uuid)
    case .hold(let account, let amount, let currency):
      row.debit = account
      row.amount = amount
      row.currency = currency
      change(account) { $0.held += amount }
    case .release(let account, let amount, let currency):
      row.debit = account
      row.amount = amount
      row.currency = currency
      change(account) { $0.held -= amount }
    case .tombstone: row.outcome = .tombstone
    }
    if let linked = posting.linked?.uuid, var target = fact(linked) {
      target.resolvedBy = posting.id.uuid
      setFact(linked, target)
    }
    return record(row, posting)
  }

  private mutating func refuse(_ posting: Posting, _ refusal: Refusal, group: Int64?, by requester: String) -> Decision {
    var row = newRow(posting, outcome: .declined, group: group, by: requester)
    row.reason = refusal.reason.rawValue
    row.unknownAccount = refusal.unknownAccount?.name
    switch posting.body {
    case .transfer(let debit, let credit, let amount, _, _, _):
      row.debit = numbers[debit]
      row.credit = numbers[credit]
      row.amount = amount.minorUnits
      row.currency = amount.currency.code
    case .hold(let account, let amount, _, _):
      row.debit = numbers[account]
      row.amount = amount.minorUnits
      row.currency = amount.currency.code
    case .reversal, .release, .tombstone: break
    }
    return record(row, posting, reason: refusal.reason)
  }

  private func newRow(_ posting: Posting, outcome: PostingOutcome, group: Int64?, by requester: String) -> TransferRow {
    var valueDate: CivilDate?
    if case .transfer(_, _, _, _, _, let date) = posting.body { valueDate = date }
    return TransferRow(
      id: posting.id.uuid, batchNumber: draft.number, position: draft.nextPosition, kind: posting.kind, outcome: outcome,
      type: posting.type, reference: posting.reference, linked: posting.linked?.uuid, groupPosition: group, valueDate: valueDate,
      requestedBy: requester, fingerprint: posting.fingerprint.bytes, createdAt: draft.bookedAt)
  }

  private mutating func record(_ row: TransferRow, _ posting: Posting, reason: DeclineReason? = nil) -> Decision {
    draft.transfers.append(row)
    setFact(
      row.id,
      TransferFact(
        kind: row.kind, outcome: row.outcome, reason: reason, fingerprint: posting.fingerprint, bookedAt: row.createdAt,
        batchNumber: row.batchNumber, debit: row.debit, credit: row.credit, amount: row.amount, resolvedBy: nil))
    return Decision(
      outcome: row.outcome, reason: reason, bookedAt: row.createdAt, batchNumber: row.batchNumber, existed: false)
  }

  private mutating func addEntry(_ number: Int64, _ direction: EntryDirection, _ amount: Int64, _ transfer: UUID128) {
    change(number) {
      $0.balance += direction.sign * amount
      $0.sequence += 1
    }
    draft.entries.append(
      EntryRow(
        accountNumber: number, accountSequence: accounts[Int(number) - 1].sequence, direction: direction, amount: amount,
        transferID: transfer, createdAt: draft.bookedAt))
  }

  private mutating func change(_ number: Int64, _ body: (inout LedgerAccount) -> Void) {
    let index = Int(number) - 1
    journal?.accounts.append(accounts[index])
    body(&accounts[index])
    accounts[index].movementsSinceCheckpoint += 1
    if accounts[index].movementsSinceCheckpoint >= Checkpoint.interval { checkpointsDue.insert(number) }
  }

  private mutating func rollBack() {
    guard let undo = journal else { return }
    journal = nil
    for account in undo.accounts.reversed() { accounts[Int(account.number) - 1] = account }
    for (id, fact) in undo.facts.reversed() { restoreFact(id, fact) }
    draft.transfers.removeLast(draft.transfers.count - undo.transferCount)
    draft.entries.removeLast(draft.entries.count - undo.entryCount)
  }
}
