internal import Logging
internal import MeshServer
internal import Money
internal import Outbox
internal import Postgres
internal import Telemetry

/// Writes an audit row for each call that the policy denied. The mesh has logged and counted it already, and waits for us only so long.
struct DenialAudit {
  let pool: PostgresPool
  let logger: Logger
  let clock: any WallClock

  func record(_ call: DeniedCall) async {
    let record = AuditRecord(
      actor: "/" + call.peer.path, action: "rpc.denied", subject: call.method, outcome: "denied", detail: ["trust_domain": call.peer.trustDomain],
      traceID: TraceIdentity.current?.traceID)
    do {
      try await Deadline.$current.withValue(.now + .seconds(4)) {
        try await pool.transaction { transaction in try await AuditLog.append(record, at: clock.now, in: transaction) }
      }
    } catch {
      // The caller is refused in any case; the gap in the audit log is in the log.
      logger.error(
        "rpc.denial_not_audited", error: error, metadata: ["peer": .string(call.peer.path), "method": .string(call.method)])
    }
  }
}
