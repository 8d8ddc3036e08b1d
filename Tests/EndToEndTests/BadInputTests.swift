import Foundation
import Testing

/// Every bad input of a payment, as an operator would give it: a clear error that says what to do, and nothing moved.
@Suite("Bad input", .serialized)
struct BadInputTests {
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let amount: String
    let currency: String
    let says: String
  }

  static let amounts: [Case] = [
    Case(description: "zero", amount: "0", currency: "GBP", says: "more than 0"),
    Case(description: "negative", amount: "-5.00", currency: "GBP", says: "more than 0"),
    Case(description: "too many decimals", amount: "1.001", currency: "GBP", says: "decimals"),
    Case(description: "exponent", amount: "1e3", currency: "GBP", says: "plain decimal"),
    Case(description: "not a number", amount: "NaN", currency: "GBP", says: "plain decimal"),
    Case(description: "beyond Int64", amount: "92233720368547758.08", currency: "GBP", says: "64-bit"),
    Case(description: "unknown currency", amount: "1.00", currency: "XYZ", says: "ISO 4217"),
    Case(description: "lower-case currency", amount: "1.00", currency: "gbp", says: "ISO 4217"),
  ]

  @Test("amounts, currencies, accounts and keys that cannot be are refused with exit status 2 or a decline, and move nothing")
  func refusals() async throws {
    try await RunningMesh.with { mesh in
      let payer = try await mesh.openAccount("payer")
      let payee = try await mesh.openAccount("payee")
      try await mesh.fund(payer, "100.00")

      for bad in Self.amounts {
        let run = try await mesh.run([
          "pay", "--from", payer, "--to", payee, "--amount=\(bad.amount)", "--currency", bad.currency, "--json",
        ])
        #expect(run.status == 2, "\(bad): \(run.standardOutput)\(run.standardError)")
        #expect(run.standardError.contains(bad.says), "\(bad): \(run.standardError)")
      }

      let same = try await mesh.pay(payer, payer, "1.00")
      #expect(same.status == 2)
      #expect(same.standardError.contains("same account"), "\(same.standardError)")

      let unknownPayer = try await mesh.pay("ACC000000000000", payee, "1.00")
      #expect(unknownPayer.status == 1)
      #expect(unknownPayer.json?["reason"]?.string == "account_unknown")

      let unknownPayee = try await mesh.pay(payer, "ACC000000000000", "1.00")
      #expect(unknownPayee.status == 1)
      #expect(unknownPayee.json?["reason"]?.string == "account_unknown")

      for key in ["not-a-key", "6fa459ea-ee8a-3ca4-894e-db77e160355e", ""] {
        let run = try await mesh.pay(payer, payee, "1.00", key: key)
        #expect(run.status == 2, "key '\(key)': \(run.standardOutput)\(run.standardError)")
        #expect(run.standardError.contains("version 4"), "key '\(key)': \(run.standardError)")
      }

      let closed = try await mesh.openAccount("closed")
      _ = try await mesh.json(["account", "close", closed, "--reason", "customer_left"])
      let toClosed = try await mesh.pay(payer, closed, "1.00")
      #expect(toClosed.json?["reason"]?.string == "account_closed")
      let fromClosed = try await mesh.pay(closed, payee, "1.00")
      #expect(fromClosed.json?["reason"]?.string == "account_closed")

      let notEmpty = try await mesh.run(["account", "close", payer, "--reason", "customer_left"])
      #expect(notEmpty.status == 1)
      #expect(notEmpty.standardError.contains("balance"), "\(notEmpty.standardError)")

      let otherCurrency = try await mesh.openAccount("euro", currency: "EUR")
      let mixed = try await mesh.pay(payer, otherCurrency, "1.00")
      #expect(mixed.json?["reason"]?.string == "currency_mismatch")

      #expect(try await mesh.balance(payer) == "100.00")
      #expect(try await mesh.balance(payee) == "0.00")
      #expect(try await mesh.balance("clearing:GBP") == "0.00")
      let verify = try await mesh.run(["verify"])
      #expect(verify.status == 0, "\(verify.standardOutput)\(verify.standardError)")

      // A second `up` finds everything running and changes nothing; a foreign mesh on the same ports is told so.
      let again = try await mesh.run(["up", "-d", "--wait"])
      #expect(again.status == 0, "\(again.standardError)")
      let other = try RunningMesh(sharingPortsOf: mesh)
      let taken = try await other.run(["up", "-d", "--wait", "--wait-timeout", "60"])
      #expect(taken.status == 4, "\(taken.standardOutput)\(taken.standardError)")
      #expect(taken.standardError.contains("port"), "\(taken.standardError)")
      _ = try await other.run(["down", "-v"])
    }
  }

  @Test("an unreachable mesh is exit status 3 and says how to start it")
  func unreachable() async throws {
    let mesh = try RunningMesh()
    let run = try await mesh.run(["balance", "ACC000000000000"])
    #expect(run.status == 3 || run.status == 4, "\(run.standardError)")
    #expect(run.standardError.contains("florin up"), "\(run.standardError)")
  }

  @Test("a compose file that is missing, or has a key that is not known, is refused with its place")
  func composeFile() async throws {
    let mesh = try RunningMesh()
    let missing = try await mesh.run(["up", "-d", "-f", "no/such/compose.yaml"])
    #expect(missing.status == 4 || missing.status == 2)
    #expect(missing.standardError.contains("no/such/compose.yaml"), "\(missing.standardError)")
    let file = mesh.directory.appending(path: "compose.yaml")
    let text = try String(contentsOf: RunningMesh.root.appending(path: "deploy/compose.yaml"), encoding: .utf8)
    try (text + "\nnonsense: true\n").write(to: file, atomically: true, encoding: .utf8)
    let unknown = try await mesh.run(["up", "-d", "-f", file.path])
    #expect(unknown.status == 4 || unknown.status == 2)
    #expect(unknown.standardError.contains("nonsense"), "\(unknown.standardError)")
    #expect(unknown.standardError.contains("compose.yaml:"), "line and column: \(unknown.standardError)")
  }
}
