public import Logging
public import Money

/// Writes each log event as one JSON object on one line: `event`, `timestamp`, `level`, `service`, `trace_id`, `span_id`, then
/// the metadata: the fields of a payment first and in their fixed order, all others sorted.
///
/// The message is the *name* of the event ("payment.failed"); everything else is metadata. An `Amount` becomes a JSON number
/// with the currency's decimals, followed by its currency; integers and booleans stay what they are; anything else is text.
/// Messages of libraries that are sentences rather than event names are written as event "log.message" with the sentence
/// under `detail` and the logger's label under `logger`.
public struct JSONLogHandler: LogHandler {
  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  public var metadataProvider: Logger.MetadataProvider?

  private let label: String
  private let service: String
  private let clock: any WallClock
  private let output: any LogOutput

  public init(
    label: String, service: String, level: Logger.Level = .info, clock: any WallClock = SystemWallClock(),
    output: any LogOutput = StandardErrorOutput.shared
  ) {
    self.label = label
    self.service = service
    self.clock = clock
    self.output = output
    logLevel = level
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
    if let explicit = event.metadata { fields.merge(explicit) { _, new in new } }
    output.write(line(event, fields))
  }

  private func line(_ event: LogEvent, _ given: Logger.Metadata) -> [UInt8] {
    var fields = given
    var line = JSONLine()
    let message = event.message.description
    if Self.isEventName(message) {
      line.string("event", message)
    } else {
      line.string("event", "log.message")
      fields["detail"] = fields["detail"] ?? .string(message)
      fields["logger"] = fields["logger"] ?? .string(label)
    }
    line.string("timestamp", clock.now.briefDescription)
    line.string("level", event.level.rawValue)
    line.string("service", service)
    // Work that is done on behalf of an older trace names it; otherwise it is the trace of this task.
    let trace = TraceIdentity.current
    if let traceID = fields.removeValue(forKey: "trace_id")?.description ?? trace?.traceID { line.string("trace_id", traceID) }
    if let spanID = fields.removeValue(forKey: "span_id")?.description ?? trace?.spanID { line.string("span_id", spanID) }
    if let error = event.error {
      fields["error"] = fields["error"] ?? .string(String(describing: error))
      fields["error_type"] = fields["error_type"] ?? .string(String(reflecting: type(of: error)))
    }
    // An amount brings its own currency: a second key of that name would make the object ambiguous.
    for (key, value) in fields {
      if case .stringConvertible(let convertible) = value, convertible is Amount {
        fields.removeValue(forKey: Self.currencyKey(for: key))
      }
    }
    for key in Self.paymentFields {
      if let value = fields.removeValue(forKey: key) { Self.append(key, value, to: &line) }
    }
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
      Self.append(Self.reserved.contains(key) ? "metadata_" + key : key, value, to: &line)
    }
    return line.finish()
  }

  /// The order of the fields that every payment event has.
  private static let paymentFields = ["user_id", "payment_id", "reason", "amount", "currency"]
  private static let reserved: Set<String> = ["event", "timestamp", "level", "service"]

  /// Two or more words of `a-z 0-9 _`, joined by dots.
  static func isEventName(_ message: String) -> Bool {
    let words = message.utf8.split(separator: 0x2e, omittingEmptySubsequences: false)
    let isLetter = { (c: UInt8) in (0x61...0x7a).contains(c) || (0x30...0x39).contains(c) || c == 0x5f }
    return words.count >= 2 && message.utf8.count <= 100 && words.allSatisfy { !$0.isEmpty && $0.allSatisfy(isLetter) }
  }

  private static func currencyKey(for key: String) -> String { key == "amount" ? "currency" : key + "_currency" }

  private static func append(_ key: String, _ value: Logger.MetadataValue, to line: inout JSONLine) {
    if case .stringConvertible(let convertible) = value, let amount = convertible as? Amount {
      line.literal(key, amount.decimal)
      line.string(currencyKey(for: key), amount.currency.code)
      return
    }
    line.raw(key) { append(value, to: &$0, depth: 0) }
  }

  private static func append(_ value: Logger.MetadataValue, to bytes: inout [UInt8], depth: Int) {
    switch value {
    case .string(let text): JSONLine.append(string: text, to: &bytes)
    case .stringConvertible(let convertible):
      if let literal = literal(convertible) {
        bytes.append(contentsOf: literal.utf8)
      } else {
        JSONLine.append(string: convertible.description, to: &bytes)
      }
    case .array, .dictionary:
      guard depth < JSONLine.deepestNesting else { return JSONLine.append(string: "…", to: &bytes) }
      append(nested: value, to: &bytes, depth: depth)
    }
  }

  private static func append(nested value: Logger.MetadataValue, to bytes: inout [UInt8], depth: Int) {
    if case .array(let elements) = value {
      bytes.append(0x5b)
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(0x2c) }
        append(element, to: &bytes, depth: depth + 1)
      }
      bytes.append(0x5d)
    } else if case .dictionary(let members) = value {
      bytes.append(0x7b)
      for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { bytes.append(0x2c) }
        JSONLine.append(string: member.key, to: &bytes)
        bytes.append(0x3a)
        append(member.value, to: &bytes, depth: depth + 1)
      }
      bytes.append(0x7d)
    }
  }

  /// What is a number or a boolean in JSON too; nil for anything that must be quoted.
  private static func literal(_ value: any CustomStringConvertible) -> String? {
    switch value {
    case let integer as any FixedWidthInteger: integer.description
    case let flag as Bool: flag ? "true" : "false"
    case let number as Double: number.isFinite ? number.description : nil
    case let number as Float: number.isFinite ? number.description : nil
    default: nil
    }
  }
}

extension Timestamp {
  /// RFC 3339 in UTC, without decimals when there are none: "2026-03-18T09:23:11Z", else "2026-03-18T09:23:11.250000Z".
  var briefDescription: String {
    let full = description
    return full.hasSuffix(".000000Z") ? String(full.dropLast(8)) + "Z" : full
  }
}
