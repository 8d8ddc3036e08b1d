internal import FlorinAPI
internal import LedgerRules
internal import Money

/// The rules' values as wire messages.
extension Decision {
  var wireOutcome: LedgerAPI.Outcome {
    switch outcome {
    case .posted: .posted
    case .declined: .declined
    case .tombstone: .tombstone
    }
  }

  var wireReason: LedgerAPI.Reason { reason.map(\.wire) ?? .unspecified }

  func result(id: TransferID) -> LedgerAPI.PostingResult {
    LedgerAPI.PostingResult(
      id: id.description, outcome: wireOutcome, reason: wireReason, bookedAtUnixMicroseconds: bookedAt.microseconds,
      batchNumber: UInt64(batchNumber), existed: existed)
  }

  var commandResponse: LedgerAPI.AccountCommandResponse {
    LedgerAPI.AccountCommandResponse(
      outcome: wireOutcome, reason: wireReason, bookedAtUnixMicroseconds: bookedAt.microseconds, batchNumber: UInt64(batchNumber),
      existed: existed)
  }
}

extension DeclineReason {
  var wire: LedgerAPI.Reason {
    switch self {
    case .insufficientFunds: .insufficientFunds
    case .accountUnknown: .accountUnknown
    case .accountFrozen: .accountFrozen
    case .accountClosed: .accountClosed
    case .currencyMismatch: .currencyMismatch
    case .sameAccount: .sameAccount
    case .amountNotPositive: .amountNotPositive
    case .balanceOverflow: .balanceOverflow
    case .existsWithDifferentFields: .existsWithDifferentFields
    case .transferUnknown: .transferUnknown
    case .alreadyReversed: .alreadyReversed
    case .notReversible: .notReversible
    case .holdUnknown: .holdUnknown
    case .holdResolved: .holdResolved
    case .tombstone: .tombstone
    case .linkedDeclined: .linkedDeclined
    case .balanceNotZero: .balanceNotZero
    case .accountExists: .accountExists
    }
  }
}

extension AccountStatus {
  var wire: LedgerAPI.AccountStatus {
    switch self {
    case .open: .open
    case .frozen: .frozen
    case .closed: .closed
    }
  }
}

extension TypeAPI.Money {
  init(_ minorUnits: Int64, _ currency: String) { self.init(minorUnits: minorUnits, currency: currency) }
}
