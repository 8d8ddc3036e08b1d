/// Why the ledger's rows cannot be the state of a ledger.
public enum LedgerStateError: Error, Sendable, Hashable, CustomStringConvertible {
  case accountNumberGap(expected: Int64, found: Int64)

  public var description: String {
    switch self {
    case .accountNumberGap(let expected, let found):
      "ledger.accounts is damaged: number \(expected) should come next, but there is \(found); run `florin verify`"
    }
  }
}
