import FlorinAPI
import Money

/// Wire messages for tests.
enum Make {
  static func id() -> String { UUID128.timeOrdered(at: SystemWallClock().now).description }

  static func transfer(
    _ debit: String, _ credit: String, _ amount: Int64, currency: String = "GBP", type: String = "payment_debit",
    reference: UUID128 = .random(), id: String = id()
  ) -> LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: id,
      body: .transfer(
        LedgerAPI.Transfer(
          debitAccountID: debit, creditAccountID: credit, amount: TypeAPI.Money(minorUnits: amount, currency: currency), type: type,
          referenceID: reference.description)))
  }

  static func reversal(of transfer: String, reference: UUID128 = .random(), id: String = id()) -> LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: id,
      body: .reversal(LedgerAPI.Reversal(transferID: transfer, referenceID: reference.description, type: "payment_debit_reversal")))
  }

  static func hold(_ account: String, _ amount: Int64, reference: UUID128 = .random(), id: String = id()) -> LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: id,
      body: .hold(
        LedgerAPI.Hold(
          accountID: account, amount: TypeAPI.Money(minorUnits: amount, currency: "GBP"), type: "payment_hold",
          referenceID: reference.description)))
  }

  static func release(of hold: String, reference: UUID128 = .random(), id: String = id()) -> LedgerAPI.Posting {
    LedgerAPI.Posting(
      id: id, body: .release(LedgerAPI.Release(holdID: hold, type: "payment_release", referenceID: reference.description)))
  }

  static func tombstone(_ id: String, reference: UUID128 = .random()) -> LedgerAPI.Posting {
    LedgerAPI.Posting(id: id, body: .tombstone(LedgerAPI.Tombstone(referenceID: reference.description)))
  }
}
