import ArgumentParser
import FlorinAPI
import Money

/// `florin notifications`.
struct Notifications: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what customers are told, and whom not to write to.",
    subcommands: [NotificationsList.self, NotificationsSuppress.self, NotificationsUnsuppress.self])
}

/// `florin notifications list`.
struct NotificationsList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List what was accepted for sending.",
    discussion: "Examples\n  florin notifications list\n  florin notifications list --payment 3c9e5f0a-6f2b-5d3e-8a41-0c1d2e3f4a5b")

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("Only those of this payment.", valueName: "payment")) var payment: UUIDArgument?
  @Option(help: ArgumentHelp("At most this many (1,000).", valueName: "count")) var limit: Int = 100

  func validate() throws { try Paging.check(limit) }

  func run() async throws {
    let answer = try await mesh.withMesh { session in
      try await session.notifications.list(
        NotificationAPI.ListRequest(paymentID: payment?.text ?? "", limit: UInt32(limit)), options: session.call())
    }
    let records = answer.notifications.map { notification in
      Record([
        ("accepted_at", .instant(microseconds: notification.acceptedAtUnixMicroseconds)),
        ("kind", .text(word(notification.kind.description, "KIND_"))), ("payment_id", .text(notification.paymentID)),
        ("from", .text(notification.payerAccountID)), ("to", .text(notification.payeeAccountID)), ("amount", .money(notification.amount)),
        ("currency", .textOrNull(notification.amount?.currency ?? "")), ("step_id", .text(notification.stepID)),
        ("reverses_step_id", .textOrNull(notification.reversesStepID)),
      ])
    }
    mesh.show(
      records, as: "notifications", columns: ["accepted_at", "kind", "payment_id", "from", "to", "amount", "currency"], right: ["amount"])
  }
}

/// Whom not to write to, and why.
struct SuppressionOptions: ParsableArguments {
  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The account.") var account: AccountArgument
  @Option(help: ArgumentHelp("Why, in a word of your catalogue: a-z and '_'.", valueName: "word")) var reason: String = "operator_request"

  func validate() throws {
    guard (1...64).contains(reason.utf8.count), reason.utf8.allSatisfy({ (0x61...0x7a).contains($0) || $0 == 0x5f }) else {
      throw ValidationError("--reason must be 1 to 64 of a-z and '_', such as returned_mail, not '\(reason)'")
    }
  }

  func set(_ suppressed: Bool) async throws {
    _ = try await mesh.withMesh { session in
      try await session.notifications.setSuppression(
        NotificationAPI.SetSuppressionRequest(accountID: account.name, suppressed: suppressed, reason: reason),
        options: session.call(key: .random()))
    }
    mesh.show(Record([("account_id", .text(account.name)), ("suppressed", .flag(suppressed)), ("reason", .text(reason))]))
  }
}

/// `florin notifications suppress`.
struct NotificationsSuppress: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suppress", abstract: "Do not write to an account any more: its confirmations are refused, and payments with it undone.",
    discussion: "Example\n  florin notifications suppress ACC7Q2M0X4T9KDV --reason returned_mail")

  @OptionGroup var options: SuppressionOptions

  func run() async throws { try await options.set(true) }
}

/// `florin notifications unsuppress`.
struct NotificationsUnsuppress: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unsuppress", abstract: "Write to an account again.",
    discussion: "Example\n  florin notifications unsuppress ACC7Q2M0X4T9KDV")

  @OptionGroup var options: SuppressionOptions

  func run() async throws { try await options.set(false) }
}
