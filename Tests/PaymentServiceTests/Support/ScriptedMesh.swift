import FlorinAPI
import MeshProtocol
import Money
import Synchronization

@testable import PaymentService

/// Stand-ins for the account, ledger and notification services: they keep their word (one decision per id, linked postings all or
/// none, tombstones), speak the real messages, and a script says what the network does to each call. The real services meet the
/// payment service in the end-to-end tests.
final class ScriptedMesh: Sendable {
  enum Verb: Hashable, Sendable { case call, inquire, forbid }

  /// What becomes of one call.
  enum Fate: Hashable, Sendable {
    case delivered
    /// Certainly not executed.
    case refused
    /// The request is lost, and nobody knows.
    case requestLost
    /// Executed, and the reply is lost.
    case replyLost
    case fails(RPCCode)
  }

  struct Contact: Hashable, Sendable {
    let action: PaymentAction
    let verb: Verb
  }

  struct State {
    var refusals: [PaymentAction: String] = [:]
    var ledger = ScriptedLedger()
    var steps: [String: TypeAPI.StepState] = [:]
    var reasons: [String: String] = [:]
    var notifications: [String: NotificationAPI.Kind] = [:]
    var contacts: [Contact] = []
    var actions: [String: PaymentAction] = [:]
    /// The exact bytes of every call, by action.
    var requests: [PaymentAction: Set<[UInt8]>] = [:]
  }

  let state = Mutex(State())
  /// Decides the fate of the n-th contact of its kind, from 1.
  let script: @Sendable (Contact, Int) -> Fate
  /// Awaited when a call has been executed, before it is answered.
  let beforeAnswer: @Sendable (Contact) async -> Void

  init(
    refusals: [PaymentAction: String] = [:], script: @escaping @Sendable (Contact, Int) -> Fate = { _, _ in .delivered },
    beforeAnswer: @escaping @Sendable (Contact) async -> Void = { _ in }
  ) {
    self.script = script
    self.beforeAnswer = beforeAnswer
    state.withLock { $0.refusals = refusals }
  }

  var participants: PaymentParticipants {
    PaymentParticipants(
      account: AccountParticipant(channel), ledger: LedgerParticipant(channel), notification: NotificationParticipant(channel))
  }

  var channel: any RPCChannel { Channel(mesh: self) }

  private struct Channel: RPCChannel {
    let mesh: ScriptedMesh

    func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply {
      try await mesh.answer(method, request)
    }
  }

  private func answer(_ method: MethodDescriptor, _ request: [UInt8]) async throws(RPCError) -> RPCReply {
    let contact = try identify(method, request)
    let number = state.withLock { state in
      state.contacts.append(contact)
      if contact.verb == .call { state.requests[contact.action, default: []].insert(request) }
      return state.contacts.count { $0 == contact }
    }
    switch script(contact, number) {
    case .refused: throw RPCError(.unavailable, "connection refused", origin: .transport, executed: .no)
    case .requestLost: throw RPCError(.deadlineExceeded, "no answer in time", origin: .transport, executed: .unknown)
    case .fails(let code): throw RPCError(code, "scripted", origin: .application, executed: .yes)
    case .replyLost:
      _ = try execute(method, request, contact)
      throw RPCError(.unavailable, "connection reset", origin: .transport, executed: .unknown)
    case .delivered:
      let reply = try execute(method, request, contact)
      await beforeAnswer(contact)
      if Task.isCancelled { throw RPCError(.cancelled, "cancelled", origin: .runtime, executed: .unknown) }
      return RPCReply(message: reply)
    }
  }

  // MARK: What the services do

  private func identify(_ method: MethodDescriptor, _ request: [UInt8]) throws(RPCError) -> Contact {
    do {
      switch method.path {
      case AccountAPI.AccountsMethods.screenPayer.path: return Contact(action: .screenPayer, verb: .call)
      case AccountAPI.AccountsMethods.getStep.path: return Contact(action: .screenPayer, verb: .inquire)
      case AccountAPI.AccountsMethods.tombstone.path: return Contact(action: .screenPayer, verb: .forbid)
      case NotificationAPI.NotificationsMethods.submit.path:
        let kind = try NotificationAPI.SubmitRequest(serialized: request).kind
        return Contact(action: kind == .confirmation ? .sendConfirmation : .sendReversal, verb: .call)
      case NotificationAPI.NotificationsMethods.getStep.path: return Contact(action: .sendConfirmation, verb: .inquire)
      case NotificationAPI.NotificationsMethods.tombstone.path: return Contact(action: .sendConfirmation, verb: .forbid)
      case LedgerAPI.LedgerMethods.getTransfer.path:
        let id = try LedgerAPI.GetTransferRequest(serialized: request).transferID
        return Contact(action: state.withLock { $0.actions[id] } ?? .debitPayer, verb: .inquire)
      case LedgerAPI.LedgerMethods.post.path:
        let postings = try LedgerAPI.PostRequest(serialized: request).postings
        guard let action = postings.compactMap({ ScriptedLedger.action(of: $0) }).last else { break }
        state.withLock { state in for posting in postings { state.actions[posting.id] = action } }
        return Contact(action: action, verb: .call)
      default: break
      }
    } catch { throw RPCError(.invalidArgument, "\(error)") }
    throw RPCError(.unimplemented, "the script knows no \(method.path)")
  }

  private func execute(_ method: MethodDescriptor, _ request: [UInt8], _ contact: Contact) throws(RPCError) -> [UInt8] {
    do {
      switch method.path {
      case AccountAPI.AccountsMethods.screenPayer.path:
        let step = try AccountAPI.ScreenPayerRequest(serialized: request).stepID
        let (step0, reason) = decide(step, contact.action)
        return try AccountAPI.ScreenPayerResponse(state: step0, reason: reason).serialized()
      case AccountAPI.AccountsMethods.getStep.path:
        let (known, reason) = look(try AccountAPI.GetStepRequest(serialized: request).stepID)
        return try AccountAPI.GetStepResponse(state: known, reason: reason).serialized()
      case NotificationAPI.NotificationsMethods.submit.path:
        let submit = try NotificationAPI.SubmitRequest(serialized: request)
        let (decision, reason) = decide(submit.stepID, contact.action)
        if decision == .done { state.withLock { $0.notifications[submit.stepID] = submit.kind } }
        return try NotificationAPI.SubmitResponse(state: decision, reason: reason).serialized()
      case NotificationAPI.NotificationsMethods.getStep.path:
        let (known, reason) = look(try NotificationAPI.GetStepRequest(serialized: request).stepID)
        return try NotificationAPI.SubmitResponse(state: known, reason: reason).serialized()
      case NotificationAPI.NotificationsMethods.tombstone.path:
        let step = try NotificationAPI.TombstoneRequest(serialized: request).stepID
        state.withLock { if $0.steps[step] == nil { $0.steps[step] = .tombstone } }
        let (known, reason) = look(step)
        return try NotificationAPI.SubmitResponse(state: known, reason: reason).serialized()
      case LedgerAPI.LedgerMethods.post.path:
        let post = try LedgerAPI.PostRequest(serialized: request)
        let results = state.withLock { state in state.ledger.post(post, refusing: state.refusals) }
        return try LedgerAPI.PostResponse(results: results).serialized()
      case LedgerAPI.LedgerMethods.getTransfer.path:
        let id = try LedgerAPI.GetTransferRequest(serialized: request).transferID
        let found = state.withLock { $0.ledger.decisions[id] }
        return try LedgerAPI.TransferRecord(id: id, outcome: found?.outcome ?? .unknown, reason: found?.reason ?? .unspecified).serialized()
      default: throw RPCError(.unimplemented, method.path)
      }
    } catch let error as RPCError { throw error } catch { throw RPCError(.invalidArgument, "\(error)") }
  }

  private func decide(_ step: String, _ action: PaymentAction) -> (TypeAPI.StepState, String) {
    state.withLock { state in
      if state.steps[step] == nil {
        state.steps[step] = state.refusals[action] == nil ? .done : .declined
        state.reasons[step] = state.refusals[action]
      }
      return (state.steps[step] ?? .unknown, state.reasons[step] ?? "")
    }
  }

  private func look(_ step: String) -> (TypeAPI.StepState, String) {
    state.withLock { ($0.steps[step] ?? .unknown, $0.reasons[step] ?? "") }
  }

  // MARK: For the tests

  func fund(_ account: String, _ minorUnits: Int64) { state.withLock { $0.ledger.balances[account, default: 0] += minorUnits } }
  func balance(_ account: String) -> Int64 { state.withLock { $0.ledger.balances[account] ?? 0 } }
  func available(_ account: String) -> Int64 { state.withLock { $0.ledger.available(account) } }
  func count(_ action: PaymentAction, _ verb: Verb = .call) -> Int {
    state.withLock { $0.contacts.count { $0 == Contact(action: action, verb: verb) } }
  }
  var notifications: [NotificationAPI.Kind] { state.withLock { Array($0.notifications.values) } }
  /// Every action was sent with one set of bytes per payment only, however often.
  func distinctRequests(_ action: PaymentAction) -> Int { state.withLock { $0.requests[action]?.count ?? 0 } }
  /// Everybody's balance together, which posting never changes.
  var total: Int64 { state.withLock { $0.ledger.balances.values.reduce(0, +) } }
}
