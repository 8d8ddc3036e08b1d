import ArgumentParser
import FlorinAPI

/// `florin account`.
struct AccountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account", abstract: "Open, show, freeze and close accounts.",
    subcommands: [AccountOpen.self, AccountGet.self, AccountList.self, AccountFreeze.self, AccountUnfreeze.self, AccountClose.self])

  static func record(_ account: AccountAPI.Account) -> Record {
    Record([
      ("account_id", .text(account.accountID)), ("reference", .text(account.reference)), ("currency", .text(account.currency)),
      ("status", .text(word(account.status.description, "ACCOUNT_STATUS_"))),
      ("opened_at", .instant(microseconds: account.openedAtUnixMicroseconds)),
      ("changed_at", .instant(microseconds: account.changedAtUnixMicroseconds)),
    ])
  }
}

/// `florin account open`.
struct AccountOpen: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Open an account.",
    discussion: """
      The reference is your own key for the customer. It must say nothing
      about a person: no name, no address.

      Examples
        florin account open --reference customer-4711 --currency GBP
        florin account open --reference customer-4711 --currency GBP \\
          --idempotency-key 1d0a4a34-1f5e-4b7e-9f0e-0d3c1b2a4f5e
      """)

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("Your own, opaque key: at most 64 of A-Z a-z 0-9 . _ : -", valueName: "text")) var reference: String
  @Option(help: ArgumentHelp("ISO 4217, such as GBP.", valueName: "code")) var currency: String
  @Option(
    name: .customLong("idempotency-key"), help: ArgumentHelp("A UUID of version 4; made and shown if there is none.", valueName: "uuid"))
  var key: IdempotencyKeyText?

  func run() async throws {
    let currency = try AmountOptions.currency(currency)
    let key = key ?? .random()
    let account = try await mesh.withMesh { session in
      try await session.accounts.open(
        AccountAPI.OpenAccountRequest(reference: reference, currency: currency.code), options: session.call(key: key))
    }
    var record = AccountCommand.record(account)
    record.append("idempotency_key", .text(key.text))
    mesh.show(record)
  }
}

/// `florin account get`.
struct AccountGet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Show an account.", discussion: "Example\n  florin account get ACC7Q2M0X4T9KDV")

  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The account.") var account: AccountArgument

  func run() async throws {
    let account = try await mesh.withMesh { session in
      try await session.accounts.get(AccountAPI.GetAccountRequest(accountID: self.account.name), options: session.call())
    }
    mesh.show(AccountCommand.record(account))
  }
}

/// `florin account list`.
struct AccountList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List accounts by their names.",
    discussion: "Examples\n  florin account list\n  florin account list --limit 20 --after ACC7Q2M0X4T9KDV")

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("At most this many (1,000).", valueName: "count")) var limit: Int = 100
  @Option(help: ArgumentHelp("Only those after this one.", valueName: "account")) var after: AccountArgument?

  func validate() throws { try Paging.check(limit) }

  func run() async throws {
    let answer = try await mesh.withMesh { session in
      try await session.accounts.list(
        AccountAPI.ListAccountsRequest(limit: UInt32(limit), afterAccountID: after?.name ?? ""), options: session.call())
    }
    mesh.show(
      answer.accounts.map(AccountCommand.record), as: "accounts", columns: ["account_id", "reference", "currency", "status", "opened_at"])
  }
}

/// What list commands have in common.
enum Paging {
  static func check(_ limit: Int) throws {
    guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000") }
  }
}

/// A change of an account's status: who, and why.
struct StatusChange: ParsableArguments {
  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The account.") var account: AccountArgument
  @Option(help: ArgumentHelp("Why, in a word of your catalogue: a-z and '_', no free text.", valueName: "word")) var reason: String =
    "operator_request"

  var request: AccountAPI.ChangeStatusRequest { AccountAPI.ChangeStatusRequest(accountID: account.name, reason: reason) }

  func validate() throws {
    guard (1...64).contains(reason.utf8.count), reason.utf8.allSatisfy({ (0x61...0x7a).contains($0) || $0 == 0x5f }) else {
      throw ValidationError("--reason must be 1 to 64 of a-z and '_', such as suspected_fraud, not '\(reason)'")
    }
  }
}

/// `florin account freeze`.
struct AccountFreeze: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freeze", abstract: "Stop all movements of an account, until it is unfrozen.",
    discussion: "Example\n  florin account freeze ACC7Q2M0X4T9KDV --reason suspected_fraud")

  @OptionGroup var change: StatusChange

  func run() async throws {
    let account = try await change.mesh.withMesh { session in
      try await session.accounts.freeze(change.request, options: session.call(key: .random()))
    }
    change.mesh.show(AccountCommand.record(account))
  }
}

/// `florin account unfreeze`.
struct AccountUnfreeze: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unfreeze", abstract: "Let a frozen account move again.", discussion: "Example\n  florin account unfreeze ACC7Q2M0X4T9KDV")

  @OptionGroup var change: StatusChange

  func run() async throws {
    let account = try await change.mesh.withMesh { session in
      try await session.accounts.unfreeze(change.request, options: session.call(key: .random()))
    }
    change.mesh.show(AccountCommand.record(account))
  }
}

/// `florin account close`.
struct AccountClose: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "close", abstract: "Close an account for good; its balance must be zero.",
    discussion: "Example\n  florin account close ACC7Q2M0X4T9KDV")

  @OptionGroup var change: StatusChange

  func run() async throws {
    let account = try await change.mesh.withMesh { session in
      try await session.accounts.close(change.request, options: session.call(key: .random()))
    }
    change.mesh.show(AccountCommand.record(account))
  }
}
