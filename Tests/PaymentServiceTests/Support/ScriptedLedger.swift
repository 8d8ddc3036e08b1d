import FlorinAPI
import Money

@testable import PaymentService

/// Ledger rules in miniature: sticky decisions by id, no overdraft, holds, once-only reversals, linked groups, tombstones.
struct ScriptedLedger {
  struct Decision {
    var outcome: LedgerAPI.Outcome
    var reason: LedgerAPI.Reason
    var posting: LedgerAPI.Posting
  }

  var balances: [String: Int64] = [:]
  private(set) var decisions: [String: Decision] = [:]
  private(set) var holds: [String: (account: String, amount: Int64, isOpen: Bool)] = [:]
  private var reversed: Set<String> = []

  func available(_ account: String) -> Int64 {
    (balances[account] ?? 0) - holds.values.filter { $0.account == account && $0.isOpen }.reduce(0) { $0 + $1.amount }
  }

  /// The action of a payment that a posting belongs to; nil for the lesser half of a linked pair.
  static func action(of posting: LedgerAPI.Posting) -> PaymentAction? {
    switch posting.body {
    case .transfer(let transfer): transfer.type == "payment_debit" ? .debitPayer : .creditPayee
    case .reversal(let reversal): reversal.type == "payment_debit_reversal" ? .creditPayer : .debitPayee
    case .release(let release): release.type == "payment_release" ? .releaseHold : nil
    case .hold, .tombstone, nil: nil
    }
  }

  mutating func post(_ request: LedgerAPI.PostRequest, refusing refusals: [PaymentAction: String]) -> [LedgerAPI.PostingResult] {
    if request.postings.allSatisfy({ decisions[$0.id] != nil }) {
      return request.postings.map { result($0.id, existed: true) }
    }
    var attempt = self
    var reasons = request.postings.map { attempt.apply($0, refusals) }
    if request.linked, reasons.contains(where: { $0 != .unspecified }) {
      reasons = reasons.map { $0 == .unspecified ? .linkedDeclined : $0 }
    } else {
      self = attempt
    }
    for (posting, reason) in zip(request.postings, reasons) where decisions[posting.id] == nil {
      var outcome: LedgerAPI.Outcome = reason == .unspecified ? .posted : .declined
      if case .tombstone = posting.body { outcome = .tombstone }
      decisions[posting.id] = Decision(outcome: outcome, reason: reason, posting: posting)
    }
    return request.postings.map { result($0.id, existed: false) }
  }

  private func result(_ id: String, existed: Bool) -> LedgerAPI.PostingResult {
    LedgerAPI.PostingResult(
      id: id, outcome: decisions[id]?.outcome ?? .unknown, reason: decisions[id]?.reason ?? .unspecified, existed: existed)
  }

  /// Unspecified: it was posted.
  private mutating func apply(_ posting: LedgerAPI.Posting, _ refusals: [PaymentAction: String]) -> LedgerAPI.Reason {
    guard UUID128(posting.id).flatMap(TransferID.init) != nil else { return .notReversible }
    if let action = Self.action(of: posting), let refusal = refusals[action] {
      return LedgerAPI.Reason.allCases.first { $0.text == refusal } ?? .notReversible
    }
    switch posting.body {
    case .transfer(let transfer):
      let units = transfer.amount?.minorUnits ?? 0
      if !transfer.debitAccountID.hasPrefix("clearing:"), available(transfer.debitAccountID) < units { return .insufficientFunds }
      move(units, from: transfer.debitAccountID, to: transfer.creditAccountID)
    case .reversal(let reversal):
      guard let original = decisions[reversal.transferID], original.outcome == .posted, case .transfer(let transfer) = original.posting.body
      else { return .transferUnknown }
      guard reversed.insert(reversal.transferID).inserted else { return .alreadyReversed }
      move(transfer.amount?.minorUnits ?? 0, from: transfer.creditAccountID, to: transfer.debitAccountID)
    case .hold(let hold): holds[posting.id] = (hold.accountID, hold.amount?.minorUnits ?? 0, true)
    case .release(let release):
      guard let hold = holds[release.holdID] else { return .holdUnknown }
      guard hold.isOpen else { return .holdResolved }
      holds[release.holdID]?.isOpen = false
    case .tombstone, nil: break
    }
    return .unspecified
  }

  private mutating func move(_ units: Int64, from debit: String, to credit: String) {
    balances[debit, default: 0] -= units
    balances[credit, default: 0] += units
  }
}
