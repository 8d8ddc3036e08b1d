internal import Money

/// How to undo what the members of a linked group did so far: what was there before, in the order of the changes.
struct Journal {
  var accounts: [LedgerAccount] = []
  var facts: [(UUID128, TransferFact?)] = []
  var transferCount: Int
  var entryCount: Int
}
