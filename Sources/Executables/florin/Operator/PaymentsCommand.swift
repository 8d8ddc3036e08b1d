import ArgumentParser
import FlorinAPI
import Money

/// `florin payments`.
struct PaymentsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "payments", abstract: "List payments, newest first.",
    discussion: """
      Examples
        florin payments
        florin payments --state compensated --limit 20
        florin payments --before 2026-03-18T09:00:00Z
      """)

  enum State: String, ExpressibleByArgument, CaseIterable {
    case accepted, completed, declined, compensated, manual

    var message: PaymentAPI.PaymentState {
      switch self {
      case .accepted: .accepted
      case .completed: .completed
      case .declined: .declined
      case .compensated: .compensated
      case .manual: .manual
      }
    }
  }

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("Only those in this state.", valueName: "state")) var state: State?
  @Option(help: ArgumentHelp("Only those made before this (UTC, RFC 3339).", valueName: "instant")) var before: InstantArgument?
  @Option(help: ArgumentHelp("At most this many (1,000).", valueName: "count")) var limit: Int = 100

  func validate() throws { try Paging.check(limit) }

  func run() async throws {
    let answer = try await mesh.withMesh { session in
      try await session.payments.list(
        PaymentAPI.ListPaymentsRequest(
          limit: UInt32(limit), state: state?.message ?? .unspecified, beforeUnixMicroseconds: before?.instant.microseconds ?? 0),
        options: session.call())
    }
    mesh.show(
      answer.payments.map(Self.record), as: "payments",
      columns: ["payment_id", "created_at", "from", "to", "amount", "currency", "state", "reason"], right: ["amount"])
  }

  static func record(_ payment: PaymentAPI.Payment) -> Record {
    Record([
      ("payment_id", .text(payment.paymentID)), ("state", .text(word(payment.state.description, "PAYMENT_STATE_"))),
      ("reason", .textOrNull(payment.reason)), ("from", .text(payment.payerAccountID)), ("to", .text(payment.payeeAccountID)),
      ("amount", .money(payment.amount)), ("currency", .textOrNull(payment.amount?.currency ?? "")),
      ("created_at", .instant(microseconds: payment.createdAtUnixMicroseconds)),
      ("finished_at", .instant(microseconds: payment.finishedAtUnixMicroseconds)),
    ])
  }
}

/// `florin payment`.
struct PaymentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "payment", abstract: "Show a payment.", discussion: "Example\n  florin payment 3c9e5f0a-6f2b-5d3e-8a41-0c1d2e3f4a5b")

  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The payment.") var payment: UUIDArgument

  func run() async throws {
    let payment = try await mesh.withMesh { session in
      try await session.payments.get(PaymentAPI.GetPaymentRequest(paymentID: self.payment.text), options: session.call())
    }
    mesh.show(PaymentsCommand.record(payment))
  }
}
