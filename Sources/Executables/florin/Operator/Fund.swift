import ArgumentParser
import FlorinAPI
import Money

/// `florin fund`.
struct Fund: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Book money that has come in from outside, from the external-funding account of the currency.",
    discussion: """
      Sending the same transfer id again changes nothing and answers the same.

      Example
        florin fund --account ACC7Q2M0X4T9KDV --amount 250.00 --currency GBP
      """)

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("Who gets it.", valueName: "account")) var account: AccountArgument
  @OptionGroup var money: AmountOptions
  @Option(
    name: .customLong("transfer-id"), help: ArgumentHelp("A UUID of version 7 or 8; made and shown if there is none.", valueName: "uuid"))
  var transferID: UUIDArgument?

  func run() async throws {
    let amount = try money.parsed()
    let id = transferID?.uuid ?? UUID128.timeOrdered(at: SystemWallClock().now)
    guard TransferID(id) != nil else {
      throw Failure(.usage, "a transfer id must be a UUID of version 7 or 8, not \(id)", reason: "transfer_id_invalid")
    }
    let answer = try await mesh.withMesh { session in
      try await session.ledger.fund(
        LedgerAPI.FundRequest(transferID: id.description, accountID: account.name, amount: amount.message), options: session.call())
    }
    guard let result = answer.results.first else { throw Failure(.bug, "the ledger answered without a result") }
    let outcome = word(result.outcome.description, "OUTCOME_")
    let reason = result.reason == .unspecified ? "" : word(result.reason.description, "REASON_")
    mesh.show(
      Record([
        ("transfer_id", .text(id.description)), ("account_id", .text(account.name)), ("amount", .amount(amount)),
        ("currency", .text(amount.currency.code)), ("outcome", .text(outcome)), ("reason", .textOrNull(reason)),
        ("booked_at", .instant(microseconds: result.bookedAtUnixMicroseconds)), ("batch_number", .number(Int64(result.batchNumber))),
        ("existed", .flag(result.existed)),
      ]))
    if result.outcome != .posted { throw Failure.silent(.declined) }
  }
}
