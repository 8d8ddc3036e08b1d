internal import CPostgres

/// What a statement returned.
public struct SQLResult: Sendable {
  public let rows: [SQLRow]
  /// Rows inserted, changed, deleted or returned.
  public let affectedRows: Int
}

/// The columns of a statement's result.
final class ColumnLayout: Sendable {
  let names: [String]
  let types: [UInt32]
  private let indexes: [String: Int]

  init(_ result: OpaquePointer) {
    let count = PQnfields(result)
    names = (0..<count).map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
    types = (0..<count).map { PQftype(result, $0) }
    indexes = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  func index(of column: String) -> Int? { indexes[column] }

  func matches(_ result: OpaquePointer) -> Bool {
    guard PQnfields(result) == names.count else { return false }
    for (index, type) in types.enumerated() where PQftype(result, Int32(index)) != type { return false }
    return true
  }
}

/// Owns a PGresult for as long as a row of it lives.
///
/// `@unchecked Sendable`: "PGresult objects are read-only after creation, and so can be passed around freely between
/// threads" (libpq manual, Behavior in Threaded Programs); nothing here changes it, and `deinit` is the only release.
final class ResultStorage: @unchecked Sendable {
  private let result: OpaquePointer
  let layout: ColumnLayout

  init(adopting result: OpaquePointer, layout: ColumnLayout) {
    self.result = result
    self.layout = layout
  }

  deinit { PQclear(result) }

  var rowCount: Int { Int(PQntuples(result)) }

  /// The field's bytes, or nil for NULL.
  func withField<R>(_ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer) throws(PostgresError) -> R) throws(PostgresError) -> R? {
    let row = Int32(truncatingIfNeeded: row)
    let column = Int32(truncatingIfNeeded: column)
    guard PQgetisnull(result, row, column) == 0 else { return nil }
    let bytes = UnsafeRawBufferPointer(start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
    return try body(bytes)
  }
}
