internal import CPostgres
internal import Logging
internal import Synchronization

/// Takes the server's notices and warnings, which libpq would print on stderr, into the log.
final class NoticeSink: Sendable {
  private let logger: Logger
  private let fatal = Atomic<Bool>(false)

  /// True once the server has said unasked that it ends the session.
  var sawFarewell: Bool { fatal.load(ordering: .relaxed) }

  init(_ logger: Logger) { self.logger = logger }

  /// The sink must outlive the connection.
  func attach(to connection: OpaquePointer) {
    PQsetNoticeReceiver(
      connection,
      { context, result in
        guard let context, let result else { return }
        Unmanaged<NoticeSink>.fromOpaque(context).takeUnretainedValue().receive(result)
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  private func receive(_ result: OpaquePointer) {
    let severity = ServerMessage.field(result, Int32(FLORIN_PG_DIAG_SEVERITY)) ?? "NOTICE"
    if severity == "FATAL" || severity == "PANIC" { fatal.store(true, ordering: .relaxed) }
    let level: Logger.Level = ["WARNING", "FATAL", "PANIC"].contains(severity) ? .warning : .debug
    logger.log(
      level: level, "postgres.notice",
      metadata: [
        "severity": .string(severity), "sql_state": .string(ServerMessage.field(result, Int32(FLORIN_PG_DIAG_SQLSTATE)) ?? ""),
        "detail": .string(ServerMessage.field(result, Int32(FLORIN_PG_DIAG_MESSAGE)) ?? ""),
      ])
  }
}

/// The fields of an error or notice message.
enum ServerMessage {
  static func field(_ result: OpaquePointer, _ code: Int32) -> String? {
    PQresultErrorField(result, code).map { String(cString: $0) }
  }

  /// The error of a failed result.
  static func error(_ result: OpaquePointer, statement: String?) -> (error: PostgresError, isFatal: Bool) {
    let severity = field(result, Int32(FLORIN_PG_DIAG_SEVERITY))
    guard let state = field(result, Int32(FLORIN_PG_DIAG_SQLSTATE)) else {
      // libpq's own error: no message came from the server.
      let message = PQresultErrorMessage(result).map { String(cString: $0) } ?? ""
      return (PostgresError(.connectionLost, message.trimmed, statement: statement), true)
    }
    let error = PostgresError(
      .sqlState(state), field(result, Int32(FLORIN_PG_DIAG_MESSAGE)) ?? "",
      constraint: field(result, Int32(FLORIN_PG_DIAG_CONSTRAINT)), schema: field(result, Int32(FLORIN_PG_DIAG_SCHEMA)),
      table: field(result, Int32(FLORIN_PG_DIAG_TABLE)), column: field(result, Int32(FLORIN_PG_DIAG_COLUMN)), statement: statement)
    return (error, severity == "FATAL" || severity == "PANIC")
  }
}

extension String {
  var trimmed: String {
    var text = Substring(self)
    while let last = text.last, last.isWhitespace { text.removeLast() }
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    return text.split(whereSeparator: \.isNewline).joined(separator: "; ")
  }
}
