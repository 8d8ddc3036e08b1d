internal import Logging
internal import MeshProtocol
internal import Metrics
internal import Money
internal import ServiceRuntime
internal import Telemetry
internal import Tracing

/// Brings events to their decision: asks the ledger, records its answer. Doing it twice, or in two places at once, does no harm:
/// the ledger decides an id once, and the result's primary key is the event.
struct ChangeDriver: Sendable {
  let store: AccountStore
  let ledger: LedgerGateway
  let supervisor: Supervisor
  let clock: any WallClock
  let logger: Logger

  /// Drives an event for a caller who waits. The work goes on if the caller goes away.
  /// - Throws: `RPCError` UNAVAILABLE if the ledger did not decide in time: the reconciler goes on with it.
  func complete(_ eventID: UUID128) async throws -> AccountEvent.Result {
    let (results, continuation) = AsyncStream.makeStream(
      of: Swift.Result<AccountEvent.Result, any Error>.self, bufferingPolicy: .bufferingNewest(1))
    do {
      try supervisor.run("account_change", deadline: .now + .seconds(8)) {
        defer { continuation.finish() }
        do { continuation.yield(.success(try await drive(eventID))) } catch { continuation.yield(.failure(error)) }
      }
    } catch {
      throw RPCError.refusal(.unavailable, "change_not_complete", "the change is recorded and will be completed, but not now: \(error)")
    }
    for await result in results {
      do { return try result.get() } catch let error as RPCError {
        throw RPCError.refusal(
          .unavailable, "change_not_complete",
          "the change is recorded and will be completed, but the ledger has not answered (\(error.code.name)): ask again")
      }
    }
    throw RPCError(.cancelled, "the caller went away; the change is recorded and will be completed", executed: .unknown)
  }

  /// One attempt.
  /// - Throws: `RPCError` of the ledger, `PostgresError`.
  func drive(_ eventID: UUID128) async throws -> AccountEvent.Result {
    guard let event = try await store.event(eventID) else { throw StoredAccountError.unreadable("event \(eventID)") }
    if let result = event.result { return result }
    let result: AccountEvent.Result
    do throws(RPCError) { result = try await ledger.apply(event) } catch {
      logger.warning(
        "account.change_delayed",
        metadata: [
          "user_id": "\(event.accountID)", "event_id": "\(eventID)", "change": "\(event.change.rawValue)", "code": "\(error.code.name)",
          "detail": "\(error.message)",
        ])
      throw error
    }
    return try await record(result, of: event)
  }

  private func record(_ result: AccountEvent.Result, of event: AccountEvent) async throws -> AccountEvent.Result {
    guard try await store.record(result, of: event, at: clock.now) else { return result }
    var metadata: Logger.Metadata = ["user_id": "\(event.accountID)", "event_id": "\(event.id)", "change": "\(event.change.rawValue)"]
    var outcome = "posted"
    if case .declined(let reason) = result {
      outcome = "declined"
      metadata["reason"] = "\(reason)"
    }
    Counter(label: "account_changes", dimensions: [("change", event.change.rawValue), ("outcome", outcome)]).increment()
    logger.info("account.\(event.change.rawValue)_\(outcome)", metadata: metadata)
    return result
  }
}
