import ArgumentParser
import Digest
import FlorinAPI
import MeshProtocol
import Money

/// `florin pay`.
struct Pay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Pay from one account to another.",
    discussion: """
      Waits until the payment has come to an end. Sending the same key again
      never pays twice: it answers, byte for byte, what was answered before,
      and says that it is a replay.

      Exit code 0: completed (or accepted, and still under way); 1: declined,
      or compensated: the money is back.

      Examples
        florin pay --from ACC123 --to ACC456 --amount 100.00 --currency GBP
        florin pay --from ACC123 --to ACC456 --amount 100.00 --currency GBP \\
          --idempotency-key 1d0a4a34-1f5e-4b7e-9f0e-0d3c1b2a4f5e
      """)

  @OptionGroup var mesh: MeshOptions
  @Option(help: ArgumentHelp("Who pays.", valueName: "account")) var from: AccountArgument
  @Option(help: ArgumentHelp("Who gets it.", valueName: "account")) var to: AccountArgument
  @OptionGroup var money: AmountOptions
  @Option(
    name: .customLong("idempotency-key"), help: ArgumentHelp("A UUID of version 4; made and shown if there is none.", valueName: "uuid"))
  var key: IdempotencyKeyText?

  func run() async throws {
    let amount = try money.parsed()
    guard from.id != to.id else { throw Failure(.usage, "payer and payee are the same account, \(from.name)", reason: "same_account") }
    let key = key ?? .random()
    let reply: DecodedReply<PaymentAPI.Payment>
    do {
      reply = try await mesh.withMesh { session in
        try await session.payments.createReply(
          PaymentAPI.CreatePaymentRequest(payerAccountID: from.name, payeeAccountID: to.name, amount: amount.message),
          options: session.call(key: key))
      }
    } catch let error as RPCError where error.executed != .no {
      // What became of it is not known here: the key is what finds out.
      Console.error(
        "florin: the key of this payment is \(key.text): pay again with --idempotency-key \(key.text) to learn what became of it")
      throw error
    }
    var record = PaymentsCommand.record(reply.message)
    record.append("idempotency_key", .text(key.text))
    record.append("replayed", .flag(reply.trailers["idempotent-replayed"] == "true"))
    record.append("reply_sha256", .text(hexadecimal(SHA256.hash(reply.encoded))))
    if mesh.json { record.append("reply_hex", .text(hexadecimal(reply.encoded))) }
    mesh.show(record)
    switch reply.message.state {
    case .completed: break
    case .accepted:
      if !mesh.json { Console.progress("It is under way: ask again with the same key, or with florin payment \(reply.message.paymentID).") }
    default: throw Failure.silent(.declined)
    }
  }
}
