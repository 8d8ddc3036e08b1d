internal import CPostgres
internal import Glibc
internal import Logging

/// One libpq connection in pipeline mode: sends a batch of commands, waits for all answers, never longer than told.
/// Not Sendable: it belongs to the one actor that made it.
final class LibpqLink {
  /// What became of the connection while a batch was under way.
  enum Failure: Error {
    /// Broken, or answered with FATAL. What was not committed before is not committed, but a commit under way is in doubt.
    case lost(PostgresError)
    /// No answer in time: the connection has been closed, the server may still be at it.
    case stalled
    /// The server refused a command; the connection is fine.
    case server(PostgresError)
  }

  /// A command of a batch.
  enum Command {
    /// Transaction control: no parameters, not prepared.
    case control(StaticString)
    case statementTimeout(milliseconds: Int64)
    case statement(SQLStatement)

    /// Done for the whole batch before anything is sent: a bad parameter must not leave half a batch in libpq's buffer.
    func encoded() throws(PostgresError) -> ParameterEncoder? {
      switch self {
      case .control: nil
      case .statementTimeout(let milliseconds): try ParameterEncoder([.text(String(milliseconds))])
      case .statement(let statement):
        if statement.sql.hasPointerRepresentation {
          try ParameterEncoder(statement.parameters)
        } else {
          throw PostgresError(.misuse, "a statement is longer than one character")
        }
      }
    }
  }

  private struct StatementKey: Hashable {
    /// Literals never move and never die, so the address is the identity.
    var address: UInt
    var length: Int
    var types: [UInt32]
  }

  private final class Prepared {
    let name: String
    var isPrepared = false
    var layout: ColumnLayout?
    init(name: String) { self.name = name }
  }

  /// Beyond this many, statements are sent unprepared: a bound on what the server keeps for us.
  private static let preparedLimit = 512

  private let connection: OpaquePointer
  private let notices: NoticeSink
  private var prepared: [StatementKey: Prepared] = [:]
  private(set) var isUsable = true

  private init(adopting connection: OpaquePointer, notices: NoticeSink) {
    self.connection = connection
    self.notices = notices
  }

  deinit { PQfinish(connection) }

  // MARK: Opening

  static func open(
    _ configuration: PostgresConfiguration, until limit: ContinuousClock.Instant, logger: Logger
  ) throws(PostgresError) -> LibpqLink {
    let parameters = try configuration.connectionParameters()
    let keywords = CStrings(parameters.map(\.0))
    let values = CStrings(parameters.map(\.1))
    guard let connection = PQconnectStartParams(keywords.pointers, values.pointers, 0) else {
      throw PostgresError(.unreachable, "libpq is out of memory")
    }
    let link = LibpqLink(adopting: connection, notices: NoticeSink(logger))
    link.notices.attach(to: connection)
    // The only way to see the SQLSTATE of a refused log-in: libpq puts it into the verbose text.
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE)
    var step = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
    while step != PGRES_POLLING_OK {
      let events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT
      guard step != PGRES_POLLING_FAILED else { throw link.connectError(configuration) }
      guard link.poll(Int16(events), until: limit) != 0 else {
        throw PostgresError(.unreachable, "\(configuration.host):\(configuration.port) did not answer the log-in in time")
      }
      step = PQconnectPoll(connection)
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT)
    guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else {
      throw PostgresError(.unreachable, link.lastMessage)
    }
    return link
  }

  private func connectError(_ configuration: PostgresConfiguration) -> PostgresError {
    let message = lastMessage
    // "FATAL:  28000: certificate authentication failed …"
    if let range = message.firstRange(of: "FATAL:  ") {
      let state = String(message[range.upperBound...].prefix(5))
      let isState = state.utf8.count == 5 && state.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) }
      // 28: authorization; 3D000: no such database; 42501 and 42704: no CONNECT privilege, no such role or setting.
      if isState, state.hasPrefix("28") || ["3D000", "42501", "42704", "22023"].contains(state) {
        return PostgresError(.refused, "log-in of \(configuration.user) to \(configuration.database) refused: \(message)")
      }
      return PostgresError(.unreachable, message)
    }
    // Files of ours that libpq cannot use, and a server whose certificate does not hold: no retry mends them by itself,
    // but renewed files do, so the next connect tries again.
    return PostgresError(.unreachable, message)
  }

  private var lastMessage: String { PQerrorMessage(connection).map { String(cString: $0).trimmed } ?? "" }

  // MARK: State

  /// The server process, for tests and logs.
  var backendPID: Int32 { PQbackendPID(connection) }
  var isInTransaction: Bool { [PQTRANS_INTRANS, PQTRANS_INERROR].contains(PQtransactionStatus(connection)) }
  func cancelHandle() -> OpaquePointer? { PQgetCancel(connection) }

  /// False if the server has closed the connection, or said something unasked that may be its farewell. One system call.
  func isQuiet() -> Bool {
    guard isUsable, PQstatus(connection) == CONNECTION_OK else { return false }
    guard poll(Int16(POLLIN), until: nil) != 0 else { return true }
    // A notice or parameter change is harmless; a farewell or the end of file is not. PQisBusy reads what has come; what is left
    // to read after that is the end of file.
    guard PQconsumeInput(connection) == 1, PQisBusy(connection) == 0, !notices.sawFarewell, PQstatus(connection) == CONNECTION_OK,
      poll(Int16(POLLIN), until: nil) == 0
    else {
      isUsable = false
      return false
    }
    return true
  }

  // MARK: Batches

  /// Sends the commands and one Sync, and returns the results of the statements among them.
  /// - Parameter limit: when to give the connection up. The server's own statement_timeout should act before.
  func run(_ commands: [Command], until limit: ContinuousClock.Instant) throws(Failure) -> [SQLResult] {
    let encoded: [(Command, ParameterEncoder?)]
    do throws(PostgresError) { encoded = try commands.map { command throws(PostgresError) in (command, try command.encoded()) } } catch {
      throw .server(error)
    }
    var expected: [Expectation] = []
    for (command, parameters) in encoded { try send(command, parameters, &expected) }
    guard PQpipelineSync(connection) == 1 else { throw broken(nil) }
    return try receive(expected, until: limit)
  }

  /// What the next result in the pipeline answers.
  private enum Expectation {
    case control(StaticString), timeout
    case prepare(Prepared, String)
    case rows(Prepared?, String)

    var summary: String? {
      switch self {
      case .control(let text): text.description
      case .timeout: nil
      case .prepare(_, let summary), .rows(_, let summary): summary
      }
    }
  }

  private func send(_ command: Command, _ parameters: ParameterEncoder?, _ expected: inout [Expectation]) throws(Failure) {
    switch (command, parameters) {
    case (.statement(let statement), let parameters?):
      try send(statement, parameters, &expected)
    case (.statementTimeout, let parameters?):
      try send(SQLStatement("SELECT set_config('statement_timeout', $1, false)"), parameters, &expected)
      if case .rows = expected.removeLast() { expected.append(.timeout) }
    case (.control(let text), _):
      guard PQsendQueryParams(connection, text.cString, 0, nil, nil, nil, nil, 1) == 1 else { throw broken(text.description) }
      expected.append(.control(text))
    case (_, nil): preconditionFailure("statements are encoded before they are sent")
    }
  }

  private func send(_ statement: SQLStatement, _ parameters: ParameterEncoder, _ expected: inout [Expectation]) throws(Failure) {
    let summary = statement.summary
    let key = StatementKey(
      address: UInt(bitPattern: statement.sql.utf8Start), length: statement.sql.utf8CodeUnitCount, types: parameters.types)
    var entry = prepared[key]
    if entry == nil, prepared.count < Self.preparedLimit {
      entry = Prepared(name: "s\(prepared.count)")
      prepared[key] = entry
    }
    let alreadySent = entry.map { entry in expected.contains { if case .prepare(let other, _) = $0 { other === entry } else { false } } }
    if let entry, !entry.isPrepared, alreadySent != true {
      let ok = PQsendPrepare(
        connection, entry.name, statement.sql.cString, Int32(parameters.types.count), parameters.types)
      guard ok == 1 else { throw broken(summary) }
      expected.append(.prepare(entry, summary))
    }
    let formats = [Int32](repeating: 1, count: parameters.ranges.count)
    let lengths = parameters.ranges.map { Int32(truncatingIfNeeded: $0?.count ?? 0) }
    let sent = parameters.buffer.withUnsafeBufferPointer { buffer in
      // An empty value still needs a pointer: nil means NULL.
      let values = parameters.ranges.map { range -> UnsafePointer<CChar>? in
        range.map { range in
          let base = buffer.baseAddress.map { UnsafeRawPointer($0 + range.lowerBound) } ?? UnsafeRawPointer(statement.sql.utf8Start)
          return base.assumingMemoryBound(to: CChar.self)
        }
      }
      if let entry {
        return PQsendQueryPrepared(connection, entry.name, Int32(values.count), values, lengths, formats, 1)
      }
      return PQsendQueryParams(
        connection, statement.sql.cString, Int32(values.count), parameters.types, values, lengths, formats, 1)
    }
    guard sent == 1 else { throw broken(summary) }
    expected.append(.rows(entry, summary))
  }

  private func receive(_ expected: [Expectation], until limit: ContinuousClock.Instant) throws(Failure) -> [SQLResult] {
    var results: [SQLResult] = []
    var failure: PostgresError?
    var position = 0
    while true {
      try awaitAnswer(until: limit)
      guard let result = PQgetResult(connection) else {
        guard PQstatus(connection) == CONNECTION_OK else { throw broken(nil) }
        position += 1
        continue
      }
      let expectation = position < expected.count ? expected[position] : nil
      switch PQresultStatus(result) {
      case PGRES_PIPELINE_SYNC:
        PQclear(result)
        if let failure { throw .server(failure) }
        return results
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK:
        if let wrong = accept(result, expectation, &results), failure == nil { failure = wrong }
      case PGRES_PIPELINE_ABORTED:
        PQclear(result)
      case PGRES_FATAL_ERROR, PGRES_NONFATAL_ERROR:
        let (error, isFatal) = ServerMessage.error(result, statement: expectation?.summary)
        PQclear(result)
        if isFatal {
          isUsable = false
          throw .lost(PostgresError(.connectionLost, error.message, statement: error.statement))
        }
        forgetStalePlan(error, expectation)
        if failure == nil { failure = error }
      default:
        // COPY and the like: no statement of ours does that.
        PQclear(result)
        isUsable = false
        throw .server(PostgresError(.misuse, "COPY and single-row results are not supported", statement: expectation?.summary))
      }
    }
  }

  /// Returns an error if COMMIT was answered with ROLLBACK.
  private func accept(_ result: OpaquePointer, _ expectation: Expectation?, _ results: inout [SQLResult]) -> PostgresError? {
    switch expectation {
    case .rows(let entry, _):
      let layout: ColumnLayout
      if let known = entry?.layout, known.matches(result) { layout = known } else { layout = ColumnLayout(result) }
      entry?.layout = layout
      // PQcmdTuples is "" for statements that count nothing.
      let affected = Int(String(cString: PQcmdTuples(result))) ?? 0
      let storage = ResultStorage(adopting: result, layout: layout)
      results.append(SQLResult(rows: (0..<storage.rowCount).map { SQLRow(storage: storage, index: $0) }, affectedRows: affected))
      return nil
    case .prepare(let entry, _):
      entry.isPrepared = true
      PQclear(result)
      return nil
    case .control(let text):
      defer { PQclear(result) }
      guard text.description == "COMMIT", String(cString: PQcmdStatus(result)) != "COMMIT" else { return nil }
      return PostgresError(.transactionAborted, "the transaction had failed before COMMIT: an error of a statement was swallowed")
    case .timeout, nil:
      PQclear(result)
      return nil
    }
  }

  /// "cached plan must not change result type" (0A000) and "prepared statement does not exist" (26000): prepare again next time.
  private func forgetStalePlan(_ error: PostgresError, _ expectation: Expectation?) {
    guard error.sqlState == "0A000" || error.sqlState == "26000", case .rows(let entry?, _) = expectation else { return }
    if let key = prepared.first(where: { $0.value === entry })?.key {
      // The old name stays taken at the server, so the entry keeps its slot and gets a new name.
      prepared[key] = Prepared(name: entry.name + "x")
    }
  }

  // MARK: Waiting

  private func awaitAnswer(until limit: ContinuousClock.Instant) throws(Failure) {
    while true {
      let pending = PQflush(connection)
      guard pending >= 0 else { throw broken(nil) }
      guard PQisBusy(connection) == 1 else { return }
      let events = poll(Int16(pending == 1 ? POLLIN | POLLOUT : POLLIN), until: limit)
      guard events != 0 else {
        isUsable = false
        throw .stalled
      }
      if events & Int16(POLLOUT) == events { continue }
      guard PQconsumeInput(connection) == 1 else { throw broken(nil) }
    }
  }

  /// Waits for the socket; zero means the time is over. `until: nil` only looks.
  private func poll(_ events: Int16, until limit: ContinuousClock.Instant?) -> Int16 {
    let socket = PQsocket(connection)
    guard socket >= 0 else { return Int16(POLLERR) }
    while true {
      var descriptor = pollfd(fd: socket, events: events, revents: 0)
      var timeout: Int32 = 0
      if let limit {
        let remaining = ContinuousClock.now.duration(to: limit)
        guard remaining > .zero else { return 0 }
        timeout = Int32(clamping: remaining.wholeMilliseconds)
      }
      let count = Glibc.poll(&descriptor, 1, timeout)
      if count > 0 { return descriptor.revents }
      if count == 0, limit == nil { return 0 }
      if count < 0, errno != EINTR { return Int16(POLLERR) }
    }
  }

  private func broken(_ statement: String?) -> Failure {
    isUsable = false
    return .lost(PostgresError(.connectionLost, lastMessage.isEmpty ? "the connection is closed" : lastMessage, statement: statement))
  }

  // MARK: Scripts

  /// Runs a text of many statements by the simple protocol. Its results are dropped.
  func runScript(_ sql: StaticString, until limit: ContinuousClock.Instant) throws(Failure) {
    guard PQexitPipelineMode(connection) == 1 else { throw broken(nil) }
    guard PQsendQuery(connection, sql.cString) == 1 else { throw broken(nil) }
    var failure: PostgresError?
    while true {
      try awaitAnswer(until: limit)
      guard let result = PQgetResult(connection) else { break }
      defer { PQclear(result) }
      guard [PGRES_FATAL_ERROR, PGRES_NONFATAL_ERROR].contains(PQresultStatus(result)) else { continue }
      let (error, isFatal) = ServerMessage.error(result, statement: SQLStatement(sql).summary)
      if isFatal {
        isUsable = false
        throw .lost(PostgresError(.connectionLost, error.message, statement: error.statement))
      }
      failure = failure ?? error
    }
    guard PQstatus(connection) == CONNECTION_OK, PQenterPipelineMode(connection) == 1 else { throw broken(nil) }
    if let failure { throw .server(failure) }
  }
}

extension StaticString {
  /// Literals end with a NUL (Swift standard library, `StaticString.utf8Start`).
  var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}

/// A nil-terminated array of C strings, as libpq's connect functions take it.
private final class CStrings {
  private let owned: [UnsafeMutablePointer<CChar>?]
  let pointers: [UnsafePointer<CChar>?]

  init(_ texts: [String]) {
    owned = texts.map { strdup($0) }
    pointers = owned.map { $0.map { UnsafePointer($0) } } + [nil]
  }

  deinit { for pointer in owned { free(pointer) } }
}
