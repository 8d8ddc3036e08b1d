import FlorinAPI
import Foundation
import Logging
import MeshClient
import MeshProtocol
import MeshTLS

/// A client of the payment service as an operator's program would be: a channel of the mesh, and patience.
struct PaymentCaller: Sendable {
  let channels: [MeshChannel]

  init(_ mesh: RunningMesh, channels count: Int) throws {
    guard let port = mesh.environment["FLORIN_PAYMENT_PORT"].flatMap(Int.init) else { throw MeshFailure("no payment port") }
    let files = IdentityFiles(directory: mesh.certificates + "/leaves/operator/admin")
    let context = try TLSContext.load(files, role: .client)
    var logger = Logger(label: "caller")
    logger.logLevel = .critical
    channels = (0..<count).map { _ in
      MeshChannel(
        configuration: MeshChannelConfiguration(
          targets: [MeshAddress(host: "127.0.0.1", port: port)],
          expectedPeer: SPIFFEID(trustDomain: "florin.local", path: "payment"), tls: context, logger: logger))
    }
  }

  /// One key, asked for until the answer is final: what a careful client does.
  func payUntilFinal(
    _ order: PaymentOrder, until limit: ContinuousClock.Instant
  ) async throws -> DecodedReply<PaymentAPI.Payment> {
    let client = PaymentAPI.PaymentsClient(channels[order.number % channels.count])
    var last = "nothing was tried"
    while ContinuousClock.now < limit {
      do {
        let reply = try await client.createReply(
          order.request, options: CallOptions(timeout: .seconds(10), idempotencyKey: order.key, waitForReady: true))
        if reply.message.state != .accepted { return reply }
        last = "accepted"
      } catch {
        guard [.unavailable, .aborted, .deadlineExceeded, .resourceExhausted, .unknown, .cancelled].contains(error.code) else {
          throw error
        }
        last = error.description
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    throw MeshFailure("payment \(order.number) has no final answer; the last one: \(last)")
  }

  func shutDown() async {
    for channel in channels { await channel.shutDown() }
  }
}

/// One payment that is to be made exactly once.
struct PaymentOrder: Sendable {
  let number: Int
  let key: String
  let request: PaymentAPI.CreatePaymentRequest
}
