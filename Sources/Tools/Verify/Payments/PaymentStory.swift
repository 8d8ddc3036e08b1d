internal import Money
internal import Postgres

/// A payment as its own service tells it, with what the ledger and the notification service have of it. A pure value.
struct PaymentStory: Sendable {
  private struct Movement {
    var id: UUID128
    var kind: String
    var type: String
    var amount: Int64
    var currency: String
    var debit: String
    var credit: String
    /// Reversed, or released.
    var isEnded: Bool
  }

  let id: UUID128
  let state: String
  let hasLease: Bool
  let leaseState: String?
  let ageSeconds: Int64
  private let payer: String
  private let payee: String
  private let amount: Int64
  private let currency: String
  private var movements: [Movement] = []
  private var confirmations: Set<UUID128> = []
  private var reversals: [UUID128?] = []

  init(_ row: SQLRow) throws {
    id = try row.uuid("payment_id")
    state = try row.text("state")
    hasLease = try row.bool("has_lease")
    leaseState = try row.textOrNil("lease_state")
    ageSeconds = try row.int64("age_seconds")
    payer = try row.text("payer_account_id")
    payee = try row.text("payee_account_id")
    amount = try row.int64("amount")
    currency = try row.text("currency")
  }

  var row: String { "\(id)" }
  var isFinished: Bool { ["COMPLETED", "DECLINED", "COMPENSATED"].contains(state) }

  mutating func add(transfer row: SQLRow) throws {
    movements.append(
      try Movement(
        id: row.uuid("id"), kind: row.text("kind"), type: row.textOrNil("type") ?? "", amount: row.int64OrNil("amount") ?? 0,
        currency: row.textOrNil("currency") ?? "", debit: row.textOrNil("debit") ?? "", credit: row.textOrNil("credit") ?? "",
        isEnded: row.uuidOrNil("by_id") != nil))
  }

  mutating func add(notification row: SQLRow) throws {
    if try row.textOrNil("kind") == "reversal" {
      reversals.append(try row.uuidOrNil("reverses_step_id"))
    } else {
      confirmations.insert(try row.uuid("step_id"))
    }
  }

  /// What in the ledger does not fit the end of the payment.
  var ledgerProblems: [String] {
    var problems: [String] = []
    let clearing = "clearing:" + currency
    let debits = movements.filter { $0.kind == "transfer" && $0.type == "payment_debit" }
    let credits = movements.filter { $0.kind == "transfer" && $0.type == "payment_credit" }
    let holds = movements.filter { $0.kind == "hold" }
    for movement in debits + credits + holds where movement.amount != amount || movement.currency != currency {
      problems.append("\(movement.kind) \(movement.id) is of \(movement.amount) \(movement.currency), the payment of \(amount) \(currency)")
    }
    for debit in debits where debit.debit != payer || debit.credit != clearing {
      problems.append("payment_debit \(debit.id) goes from \(debit.debit) to \(debit.credit), not from the payer to clearing")
    }
    for credit in credits where credit.debit != clearing || credit.credit != payee {
      problems.append("payment_credit \(credit.id) goes from \(credit.debit) to \(credit.credit), not from clearing to the payee")
    }
    if debits.count > 1 || credits.count > 1 || holds.count > 1 {
      problems.append("it was debited \(debits.count) times, credited \(credits.count) times and held \(holds.count) times")
    }
    switch state {
    case "COMPLETED":
      let stands = debits.count == 1 && credits.count == 1 && !debits[0].isEnded && !credits[0].isEnded
      if !stands { problems.append("it is COMPLETED, and its debit and its credit do not both stand") }
      if holds.contains(where: { !$0.isEnded }) { problems.append("it is COMPLETED, and the payee's money is still held") }
    case "COMPENSATED":
      for movement in debits + credits where !movement.isEnded {
        problems.append("it is COMPENSATED, and \(movement.type) \(movement.id) was not reversed")
      }
      if holds.contains(where: { !$0.isEnded }) { problems.append("it is COMPENSATED, and the hold on the payee's account is still open") }
    case "DECLINED":
      if !movements.isEmpty { problems.append("it is DECLINED, and \(movements.count) postings were made for it") }
    default: break
    }
    return problems
  }

  var notificationProblems: [String] {
    switch state {
    case "COMPLETED":
      confirmations.count == 1 && reversals.isEmpty
        ? [] : ["it is COMPLETED, with \(confirmations.count) confirmations and \(reversals.count) reversal events"]
    case "COMPENSATED":
      confirmations.count <= 1 && Set(reversals) == Set(confirmations.map(Optional.some)) && reversals.count == confirmations.count
        ? [] : ["it is COMPENSATED, with \(confirmations.count) confirmations and \(reversals.count) reversal events"]
    case "DECLINED":
      confirmations.isEmpty && reversals.isEmpty ? [] : ["it is DECLINED, and somebody was notified"]
    default: []
    }
  }
}
