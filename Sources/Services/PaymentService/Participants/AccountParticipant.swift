internal import FlorinAPI
internal import MeshProtocol
internal import Money
internal import SagaEngine

/// Step 0: the account service judges the payer.
struct AccountParticipant: SagaParticipant {
  private let channel: any RPCChannel
  private let client: AccountAPI.AccountsClient

  init(_ channel: any RPCChannel) {
    self.channel = channel
    client = AccountAPI.AccountsClient(channel)
  }

  func call(_ action: PaymentAction, _ request: [UInt8]) async -> SagaOutcome {
    guard action == .screenPayer else { return .bug(detail: "the account service does no \(action.name)") }
    do throws(RPCError) {
      let reply = try await channel.unary(AccountAPI.AccountsMethods.screenPayer, request, options: SagaCall.options)
      guard let answer = try? AccountAPI.ScreenPayerResponse(serialized: reply.message) else {
        return .ambiguous(detail: "the answer cannot be decoded")
      }
      return StepReply(state: answer.state, reason: answer.reason).outcome
    } catch { return SagaOutcome(error) }
  }

  func inquire(_ intent: SagaIntent) async -> SagaFinding {
    do throws(RPCError) {
      let answer = try await client.getStep(AccountAPI.GetStepRequest(stepID: intent.id.description), options: SagaCall.options)
      return StepReply(state: answer.state, reason: answer.reason).finding
    } catch { return SagaFinding(error) }
  }

  func forbid(_ intent: SagaIntent, of payment: PaymentID) async -> SagaFinding {
    do throws(RPCError) {
      let request = AccountAPI.TombstoneRequest(stepID: intent.id.description, paymentID: payment.description)
      let answer = try await client.tombstone(request, options: SagaCall.options)
      return StepReply(state: answer.state, reason: answer.reason).tombstoneFinding
    } catch { return SagaFinding(error) }
  }
}
