import FlorinAPI
import MeshProtocol
import Money
import ProtobufCodec
import Synchronization

/// A fake: stands for the ledger service, which an account service's test cannot link. It decides each event id once, as the real
/// one does, and can be told to be away. The end-to-end tests run against the real ledger.
final class FakeLedger: RPCChannel {
  enum Health: Sendable {
    case up
    /// Refuses every call without having seen it.
    case down
    /// Decides, and then loses the answer.
    case losingAnswers
    /// Neither decides nor answers until it changes.
    case hanging
  }

  struct Decision: Sendable, Hashable {
    var eventID: String
    var accountID: String
    var status: LedgerAPI.AccountStatus
    var response: LedgerAPI.AccountCommandResponse
  }

  private struct State {
    var health = Health.up
    var decisions: [Decision] = []
    var withMoney: Set<String> = []
    var calls = 0
  }

  private let state = Mutex(State())

  var health: Health {
    get { state.withLock(\.health) }
    set { state.withLock { $0.health = newValue } }
  }

  /// In the order that they were made.
  var decisions: [Decision] { state.withLock(\.decisions) }
  var posted: [Decision] { decisions.filter { $0.response.outcome == .posted } }
  var calls: Int { state.withLock(\.calls) }

  func status(of account: String) -> LedgerAPI.AccountStatus? { posted.last { $0.accountID == account }?.status }

  func setMoney(_ hasMoney: Bool, in account: String) {
    state.withLock { state in
      if hasMoney { state.withMoney.insert(account) } else { state.withMoney.remove(account) }
    }
  }

  func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply {
    state.withLock { $0.calls += 1 }
    while health == .hanging {
      do { try await Task.sleep(for: .milliseconds(5)) } catch { throw RPCError(.cancelled, "cancelled", executed: .unknown) }
    }
    if health == .down { throw RPCError(.unavailable, "the ledger is away", origin: .transport, executed: .no) }
    do {
      let response: LedgerAPI.AccountCommandResponse
      switch method.path {
      case LedgerAPI.LedgerMethods.openAccount.path:
        let command = try LedgerAPI.OpenLedgerAccountRequest(serialized: request)
        response = try decide(command.eventID, command.accountID, .open)
      case LedgerAPI.LedgerMethods.setAccountStatus.path:
        let command = try LedgerAPI.SetAccountStatusRequest(serialized: request)
        response = try decide(command.eventID, command.accountID, command.status)
      default: throw RPCError(.unimplemented, method.path)
      }
      if health == .losingAnswers { throw RPCError(.unavailable, "connection lost", origin: .transport, executed: .unknown) }
      return RPCReply(message: try response.serialized())
    } catch let error as RPCError { throw error } catch { throw RPCError(.invalidArgument, "\(error)") }
  }

  private func decide(_ eventID: String, _ account: String, _ status: LedgerAPI.AccountStatus) throws -> LedgerAPI.AccountCommandResponse {
    guard let uuid = UUID128(eventID), TransferID(uuid) != nil else { throw RPCError(.invalidArgument, "event id is not time-ordered") }
    return state.withLock { state in
      if let known = state.decisions.first(where: { $0.eventID == eventID }) {
        var response = known.response
        response.existed = true
        return response
      }
      let isMoneyLeft = status == .closed && state.withMoney.contains(account)
      let number = UInt64(state.decisions.count + 1)
      let response = LedgerAPI.AccountCommandResponse(
        outcome: isMoneyLeft ? .declined : .posted, reason: isMoneyLeft ? .balanceNotZero : .unspecified,
        bookedAtUnixMicroseconds: SystemWallClock().now.microseconds, batchNumber: number)
      state.decisions.append(Decision(eventID: eventID, accountID: account, status: status, response: response))
      return response
    }
  }
}
