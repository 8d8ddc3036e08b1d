import ArgumentParser
import FlorinAPI
import Money

/// `florin balance`.
struct Balance: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is on an account: now, or as it was.",
    discussion: """
      Posted is the sum of all entries; available is less what is held. A
      balance as of a past instant never changes.

      Examples
        florin balance ACC7Q2M0X4T9KDV
        florin balance ACC7Q2M0X4T9KDV --at 2026-03-18T09:00:00Z
        florin balance clearing:GBP
      """)

  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The account.") var account: AccountArgument
  @Option(help: ArgumentHelp("UTC, RFC 3339; none: now.", valueName: "instant")) var at: InstantArgument?

  func run() async throws {
    let balance = try await mesh.withMesh { session in
      try await session.ledger.getBalance(
        LedgerAPI.GetBalanceRequest(accountID: account.name, atUnixMicroseconds: at?.instant.microseconds ?? 0), options: session.call())
    }
    mesh.show(
      Record([
        ("account_id", .text(balance.accountID)), ("posted", .money(balance.posted)), ("available", .money(balance.available)),
        ("currency", .textOrNull(balance.posted?.currency ?? "")), ("status", .text(word(balance.status.description, "ACCOUNT_STATUS_"))),
        ("entries", .number(Int64(clamping: balance.entryCount))), ("as_of", .instant(microseconds: balance.asOfUnixMicroseconds)),
      ]))
  }
}

/// `florin statement`.
struct StatementCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "statement", abstract: "Show the entries of an account with its balance after each.",
    discussion: """
      Examples
        florin statement ACC7Q2M0X4T9KDV
        florin statement ACC7Q2M0X4T9KDV --since 2026-03-01T00:00:00Z
      """)

  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The account.") var account: AccountArgument
  @Option(help: ArgumentHelp("From this instant on (UTC, RFC 3339).", valueName: "instant")) var since: InstantArgument?
  @Option(help: ArgumentHelp("Before this instant.", valueName: "instant")) var until: InstantArgument?
  @Option(help: ArgumentHelp("At most this many (1,000).", valueName: "count")) var limit: Int = 100
  @Option(name: .customLong("after-sequence"), help: ArgumentHelp("Only those after this line of the page before.", valueName: "number"))
  var after: UInt64 = 0

  func validate() throws { try Paging.check(limit) }

  func run() async throws {
    let statement = try await mesh.withMesh { session in
      try await session.ledger.getStatement(
        LedgerAPI.GetStatementRequest(
          accountID: account.name, fromUnixMicroseconds: since?.instant.microseconds ?? 0,
          toUnixMicroseconds: until?.instant.microseconds ?? 0, limit: UInt32(limit), afterSequence: after), options: session.call())
    }
    mesh.show(
      statement.lines.map(Self.record), as: "entries",
      columns: ["sequence", "booked_at", "type", "counterparty_account_id", "amount", "balance_after", "currency", "reference_id"],
      right: ["sequence", "amount", "balance_after"],
      more: [("more", .flag(statement.more)), ("as_of", .instant(microseconds: statement.asOfUnixMicroseconds))])
    if statement.more, !mesh.json, let last = statement.lines.last {
      Console.progress("there is more: --after-sequence \(last.sequence)")
    }
  }

  private static func record(_ line: LedgerAPI.StatementLine) -> Record {
    Record([
      ("sequence", .number(Int64(clamping: line.sequence))), ("booked_at", .instant(microseconds: line.bookedAtUnixMicroseconds)),
      ("transfer_id", .text(line.transferID)), ("type", .text(line.type)), ("reference_id", .textOrNull(line.referenceID)),
      ("counterparty_account_id", .textOrNull(line.counterpartyAccountID)), ("amount", .money(line.amount)),
      ("balance_after", .money(line.balanceAfter)), ("currency", .textOrNull(line.amount?.currency ?? "")),
    ])
  }
}
