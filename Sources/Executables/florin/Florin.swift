import ArgumentParser
import Foundation

/// The operator's program: runs the mesh, makes its certificates, and speaks to its services.
@main
struct Florin: AsyncParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "florin",
    abstract: "Run the Florin mesh and work with it.",
    discussion: """
      Run the mesh
        florin up -d --wait        start PostgreSQL and the four services
        florin ps                  what runs
        florin logs -f payment     what it says
        florin down                stop everything

      Move money
        florin account open --reference customer-1 --currency GBP
        florin fund --account ACC1 --amount 250.00 --currency GBP
        florin pay --from ACC1 --to ACC2 --amount 100.00 --currency GBP
        florin trace PAYMENT       everything that happened to it
        florin verify              check the invariants of the books

      Exit codes
        0 done   1 failed or declined   2 bad arguments or input
        3 not reachable   4 machine, configuration or credential refused
        70 a mistake of Florin itself
      """,
    version: "florin \(version)",
    groupedSubcommands: [
      CommandGroup(
        name: "Running",
        subcommands: [Up.self, Down.self, Ps.self, Logs.self, Start.self, Stop.self, Restart.self, Kill.self, Certs.self]),
      CommandGroup(
        name: "Accounts and money", subcommands: [AccountCommand.self, Fund.self, Pay.self, Balance.self, StatementCommand.self]),
      CommandGroup(
        name: "Answers",
        subcommands: [PaymentsCommand.self, PaymentCommand.self, Notifications.self, TraceCommand.self, VerifyCommand.self]),
      CommandGroup(name: "Internal", subcommands: [Supervise.self, Guard.self, ClusterCommand.self]),
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      Foundation.exit(Failure.report(error))
    }
  }
}
