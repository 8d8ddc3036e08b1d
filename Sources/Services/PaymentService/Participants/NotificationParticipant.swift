internal import FlorinAPI
internal import MeshProtocol
internal import Money
internal import SagaEngine

/// Step 3: the notification service accepts the confirmation, and its reversal.
struct NotificationParticipant: SagaParticipant {
  private let channel: any RPCChannel
  private let client: NotificationAPI.NotificationsClient

  init(_ channel: any RPCChannel) {
    self.channel = channel
    client = NotificationAPI.NotificationsClient(channel)
  }

  func call(_ action: PaymentAction, _ request: [UInt8]) async -> SagaOutcome {
    guard action == .sendConfirmation || action == .sendReversal else {
      return .bug(detail: "the notification service does no \(action.name)")
    }
    do throws(RPCError) {
      let reply = try await channel.unary(NotificationAPI.NotificationsMethods.submit, request, options: SagaCall.options)
      guard let answer = try? NotificationAPI.SubmitResponse(serialized: reply.message) else {
        return .ambiguous(detail: "the answer cannot be decoded")
      }
      return StepReply(state: answer.state, reason: answer.reason).outcome
    } catch { return SagaOutcome(error) }
  }

  func inquire(_ intent: SagaIntent) async -> SagaFinding {
    do throws(RPCError) {
      let answer = try await client.getStep(NotificationAPI.GetStepRequest(stepID: intent.id.description), options: SagaCall.options)
      return StepReply(state: answer.state, reason: answer.reason).finding
    } catch { return SagaFinding(error) }
  }

  func forbid(_ intent: SagaIntent, of payment: PaymentID) async -> SagaFinding {
    do throws(RPCError) {
      let request = NotificationAPI.TombstoneRequest(stepID: intent.id.description, paymentID: payment.description)
      let answer = try await client.tombstone(request, options: SagaCall.options)
      return StepReply(state: answer.state, reason: answer.reason).tombstoneFinding
    } catch { return SagaFinding(error) }
  }
}
