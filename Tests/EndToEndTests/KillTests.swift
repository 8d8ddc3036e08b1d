import FlorinAPI
import Foundation
import MeshProtocol
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// kill -9 in the middle of 200 payments that run at once; a minute after the restart every penny is where it belongs.
@Suite("A kill in the middle of 200 payments", .serialized)
struct KillTests {
  static let paymentCount = 200
  static let doomedCount = 20
  static let inFlightAtLeast = 20

  @Test("loses and doubles nothing", arguments: ["account", "ledger", "payment", "notification", "postgres"])
  func kill(victim: String) async throws {
    try await RunningMesh.with { mesh in
      let world = try await World(mesh)
      let caller = try PaymentCaller(mesh, channels: 4)
      let progress = Progress()
      let deadline = ContinuousClock.now + .seconds(150)

      let replies = try await withThrowingTaskGroup(of: (Int, DecodedReply<PaymentAPI.Payment>).self) { group in
        for order in world.orders {
          group.addTask {
            let reply = try await caller.payUntilFinal(order, until: deadline)
            progress.advance()
            return (order.number, reply)
          }
        }
        group.addTask {
          // The kill comes when some payments are done, so that others are in every state between.
          while progress.finished < 10 { try await Task.sleep(for: .milliseconds(2)) }
          let inFlight = Self.paymentCount - progress.finished
          try await mesh.killHard(victim)
          #expect(inFlight >= Self.inFlightAtLeast, "only \(inFlight) payments were in flight when \(victim) was killed")
          try await mesh.waitUntilHealthy(restarted: victim, within: .seconds(90))
          return (-1, DecodedReply(message: PaymentAPI.Payment(), encoded: [], trailers: [:]))
        }
        var replies: [Int: DecodedReply<PaymentAPI.Payment>] = [:]
        for try await (number, reply) in group where number >= 0 { replies[number] = reply }
        return replies
      }

      #expect(replies.count == Self.paymentCount)
      for order in world.orders {
        let reply = try #require(replies[order.number])
        #expect(reply.message.state == (world.isDoomed(order) ? .compensated : .completed), "payment \(order.number): \(reply.message)")
        // One key, one answer: asked again it is the same, byte for byte.
        let again = try await caller.payUntilFinal(order, until: .now + .seconds(20))
        #expect(again.encoded == reply.encoded, "payment \(order.number) was answered differently the second time")
        #expect(again.trailers["idempotent-replayed"] == "true")
      }
      await caller.shutDown()
      try await world.expectEveryPennyInPlace()
    }
  }
}

/// How many payments have their final answer.
private final class Progress: Sendable {
  private let count = Mutex(0)

  var finished: Int { count.withLock { $0 } }

  func advance() { count.withLock { $0 += 1 } }
}

/// Ten payers, one payee who is paid and one who is frozen.
private struct World: Sendable {
  let mesh: RunningMesh
  let payers: [String]
  let payee: String
  let frozenPayee: String
  let orders: [PaymentOrder]

  init(_ mesh: RunningMesh) async throws {
    self.mesh = mesh
    var payers: [String] = []
    for number in 0..<10 {
      let account = try await mesh.openAccount("payer-\(number)")
      try await mesh.fund(account, "1000.00")
      payers.append(account)
    }
    let payee = try await mesh.openAccount("payee")
    let frozen = try await mesh.openAccount("frozen-payee")
    _ = try await mesh.json(["account", "freeze", frozen, "--reason", "court_order"])
    orders = (0..<KillTests.paymentCount).map { number in
      let isDoomed = number % (KillTests.paymentCount / KillTests.doomedCount) == 0
      return PaymentOrder(
        number: number, key: UUID().uuidString.lowercased(),
        request: PaymentAPI.CreatePaymentRequest(
          payerAccountID: payers[number % payers.count], payeeAccountID: isDoomed ? frozen : payee,
          amount: TypeAPI.Money(minorUnits: 1_00, currency: "GBP")))
    }
    self.payers = payers
    self.payee = payee
    frozenPayee = frozen
  }

  func isDoomed(_ order: PaymentOrder) -> Bool { order.request.payeeAccountID == frozenPayee }

  func expectEveryPennyInPlace() async throws {
    let paid = KillTests.paymentCount - KillTests.doomedCount
    var total = 0
    for payer in payers {
      let balance = try #require(try await mesh.balance(payer))
      total += Int(balance.replacing(".", with: "")) ?? 0
    }
    #expect(total == 10 * 1000_00 - paid * 1_00)
    #expect(try await mesh.balance(payee) == "\(paid).00")
    #expect(try await mesh.balance(frozenPayee) == "0.00")
    #expect(try await mesh.balance("clearing:GBP") == "0.00")
    let verify = try await mesh.run(["verify"])
    #expect(verify.status == 0, "\(verify.standardOutput)\(verify.standardError)")
  }
}
