internal import Digest
public import Money

/// What verifying an audit log found.
public struct AuditVerification: Sendable, Hashable {
  public internal(set) var rows: Int
  /// Nil: the log is what was written.
  public internal(set) var firstFault: AuditFault?

  public init(rows: Int = 0, firstFault: AuditFault? = nil) {
    self.rows = rows
    self.firstFault = firstFault
  }
}

/// The first row of a lane that is not what was written, or is missing.
public struct AuditFault: Sendable, Hashable, CustomStringConvertible {
  public let lane: Int
  public let number: Int64
  public let createdAt: Timestamp?
  public let reason: String

  public var description: String { "audit_log lane \(lane) row \(number): \(reason)" }
}

/// One lane's chain, checked row by row: a pure value.
///
/// The hash is SHA-256 over: a version byte 1; the hash before (32 bytes); lane (4 bytes); number (8); occurred_at and
/// created_at (8 each, microseconds since 2000-01-01); then actor, action, subject, outcome, detail, trace_id, each as its
/// length in bytes (4) and its UTF-8. All integers big-endian. The hash before the first row is that of "florin audit lane N".
struct AuditChain {
  static let lanes = 16
  private static let microsecondsTo2000: Int64 = 946_684_800_000_000

  struct Head {
    var number: Int64
    var hash: [UInt8]
  }

  struct Row {
    var number: Int64
    var occurredAt: Timestamp
    var createdAt: Timestamp
    /// actor, action, subject, outcome, detail, trace_id
    var fields: [String]
    var previousHash: [UInt8]
    var hash: [UInt8]
  }

  let lane: Int32
  let head: Head
  private(set) var rows = 0
  private(set) var fault: AuditFault?
  private(set) var lastNumber: Int64 = 0
  private(set) var lastTime = Timestamp(microseconds: Self.microsecondsTo2000)
  private var lastHash: [UInt8]

  init(lane: Int32, head: Head) {
    self.lane = lane
    self.head = head
    lastHash = SHA256.hash("florin audit lane \(lane)")
  }

  mutating func check(_ row: Row) {
    guard fault == nil else { return }
    if row.number > lastNumber + 1 {
      fault = AuditFault(lane: Int(lane), number: lastNumber + 1, createdAt: nil, reason: "the row is missing")
    } else if row.number != lastNumber + 1 {
      fault = fault(row, "the number is used twice")
    } else if row.previousHash != lastHash {
      fault = fault(row, "it does not follow the row before it")
    } else if row.createdAt < lastTime {
      fault = fault(row, "it is older than the row before it")
    } else if hash(of: row) != row.hash {
      fault = fault(row, "its content is not what was hashed")
    } else if row.number == head.number, row.hash != head.hash {
      fault = fault(row, "it is not the row that the head of the lane names")
    } else {
      rows += 1
      lastNumber = row.number
      lastTime = row.createdAt
      lastHash = row.hash
    }
  }

  /// After the last row.
  func missingEnd() -> AuditFault? {
    guard lastNumber < head.number else { return nil }
    return AuditFault(lane: Int(lane), number: lastNumber + 1, createdAt: nil, reason: "the row is missing at the end of the lane")
  }

  private func fault(_ row: Row, _ reason: String) -> AuditFault {
    AuditFault(lane: Int(lane), number: row.number, createdAt: row.createdAt, reason: reason)
  }

  private func hash(of row: Row) -> [UInt8] {
    var bytes: [UInt8] = [1] + row.previousHash
    func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) } }
    append(lane)
    append(row.number)
    append(row.occurredAt.microseconds - Self.microsecondsTo2000)
    append(row.createdAt.microseconds - Self.microsecondsTo2000)
    for field in row.fields {
      append(Int32(truncatingIfNeeded: field.utf8.count))
      bytes.append(contentsOf: field.utf8)
    }
    return SHA256.hash(bytes)
  }
}
