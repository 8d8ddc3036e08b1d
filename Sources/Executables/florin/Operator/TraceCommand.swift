import ArgumentParser
import FlorinAPI
import MeshProtocol
import Money

/// `florin trace`.
struct TraceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace", abstract: "Everything that happened to a payment, in order of time, each line with its service and row.",
    discussion: """
      Asks all four services. One that cannot be asked is named as a gap,
      never left out in silence; exit code 3 then.

      Examples
        florin trace 3c9e5f0a-6f2b-5d3e-8a41-0c1d2e3f4a5b
        florin trace 3c9e5f0a-6f2b-5d3e-8a41-0c1d2e3f4a5b --json
      """)

  @OptionGroup var mesh: MeshOptions
  @Argument(help: "The payment.") var payment: UUIDArgument

  /// What one service said.
  private struct Answer: Sendable {
    var service: String
    var payment: PaymentAPI.Payment?
    var lines: [TypeAPI.TraceLine] = []
    var failure: RPCError?
  }

  func run() async throws {
    let id = payment.text
    let answers = try await mesh.withMesh { session in
      let (payments, ledger, accounts, notifications) = (
        try session.payments, try session.ledger, try session.accounts, try session.notifications
      )
      let options = session.call()
      async let first = Self.ask("payment") { () async throws(RPCError) in
        let answer = try await payments.trace(PaymentAPI.TraceRequest(paymentID: id), options: options)
        return (answer.payment, answer.lines)
      }
      async let second = Self.ask("ledger") { () async throws(RPCError) in
        (nil, try await ledger.trace(LedgerAPI.TraceRequest(referenceID: id), options: options).lines)
      }
      async let third = Self.ask("account") { () async throws(RPCError) in
        (nil, try await accounts.trace(AccountAPI.TraceRequest(paymentID: id), options: options).lines)
      }
      async let fourth = Self.ask("notification") { () async throws(RPCError) in
        (nil, try await notifications.trace(NotificationAPI.TraceRequest(paymentID: id), options: options).lines)
      }
      return await [first, second, third, fourth]
    }
    // Nothing but gaps is no answer.
    if let failure = answers.first?.failure, answers.allSatisfy({ $0.failure != nil }) { throw failure }
    if let failure = answers.first?.failure, failure.code == .notFound || failure.code == .invalidArgument { throw failure }
    show(answers)
    if answers.contains(where: { $0.failure != nil }) { throw Failure.silent(.unavailable) }
  }

  private static func ask(
    _ service: String, _ body: @Sendable () async throws(RPCError) -> (PaymentAPI.Payment?, [TypeAPI.TraceLine])
  ) async -> Answer {
    do throws(RPCError) {
      let (payment, lines) = try await body()
      return Answer(service: service, payment: payment, lines: lines)
    } catch {
      return Answer(service: service, failure: error)
    }
  }

  private func show(_ answers: [Answer]) {
    // A service lists its own rows in the order they were written; equal times keep that order.
    let lines = answers.flatMap(\.lines).enumerated()
      .sorted { ($0.element.atUnixMicroseconds, $0.offset) < ($1.element.atUnixMicroseconds, $1.offset) }.map(\.element)
    let gaps = answers.compactMap { answer in
      answer.failure.map {
        Record([("service", .text(answer.service)), ("reason", .text($0.code.name.lowercased())), ("detail", .text($0.message))])
      }
    }
    let payment = answers.compactMap(\.payment).first
    if mesh.json {
      Console.print(
        Record([
          ("payment", payment.map { .record(PaymentsCommand.record($0)) } ?? .null), ("lines", .records(lines.map(Self.record))),
          ("gaps", .records(gaps)),
        ]).json)
      return
    }
    if let payment { Console.print(PaymentsCommand.record(payment).lines + "\n") }
    let start = lines.first?.atUnixMicroseconds ?? 0
    let later = lines.map { "+" + String(($0.atUnixMicroseconds - start) / 1000) + " ms" }
    let widths = (
      later: later.map(\.count).max() ?? 0, service: lines.map(\.service.count).max() ?? 0, event: lines.map(\.event.count).max() ?? 0)
    for (line, later) in zip(lines, later) {
      let time = String(Timestamp(microseconds: line.atUnixMicroseconds).description.prefix(23)) + "Z"
      let gap = String(repeating: " ", count: widths.later - later.count)
      let service = line.service.padded(to: widths.service), event = line.event.padded(to: widths.event)
      Console.print("\(time) \(gap)\(later)  \(service)  \(event)  \(line.summary)  [\(Self.place(line))]")
    }
    for answer in answers {
      if let failure = answer.failure {
        Console.print("GAP  \(answer.service) could not be asked: \(failure.message) (\(failure.code.name))")
      }
    }
  }

  private static func record(_ line: TypeAPI.TraceLine) -> Record {
    Record([
      ("at", .instant(microseconds: line.atUnixMicroseconds)), ("service", .text(line.service)), ("table", .text(line.table)),
      ("row", .text(line.row)), ("event", .text(line.event)), ("summary", .text(line.summary)),
      ("fields", .record(Record(line.fields.map { ($0.name, .text($0.value)) }))),
    ])
  }

  /// "ledger.transfers 01a2…": where the row can be looked up, the service's database first.
  private static func place(_ line: TypeAPI.TraceLine) -> String {
    (line.table.hasPrefix(line.service + ".") ? "" : line.service + ".") + line.table + " " + line.row
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
