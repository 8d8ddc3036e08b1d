/// Names and texts as the exposition formats want them.
enum MetricName {
  static let longestLabelValue = 128

  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; anything else in a metric's name becomes "_".
  static func metric(_ name: String) -> String { cleaned(name, colons: true) }

  /// `[a-zA-Z_][a-zA-Z0-9_]*`; "le" and names that begin with "__" belong to the format, so they get a prefix.
  static func label(_ name: String) -> String {
    let clean = cleaned(name, colons: false)
    return clean == "le" || clean.hasPrefix("__") ? "exported_" + clean : clean
  }

  private static func cleaned(_ name: String, colons: Bool) -> String {
    var out: [UInt8] = []
    for (index, byte) in name.utf8.enumerated() {
      switch byte {
      case 0x61...0x7a, 0x41...0x5a, 0x5f: out.append(byte)
      case 0x30...0x39:
        if index == 0 { out.append(0x5f) }
        out.append(byte)
      case 0x3a where colons: out.append(byte)
      default: out.append(0x5f)
      }
    }
    return out.isEmpty ? "_" : String(decoding: out, as: UTF8.self)
  }

  /// A label's value or a help text: backslash, quote and newline escaped.
  static func escaped(_ text: String) -> String {
    var out = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": out += "\\\\"
      case "\"": out += "\\\""
      case "\n": out += "\\n"
      default: out.unicodeScalars.append(character)
      }
    }
    return out
  }

  /// "1" rather than "1.0" for whole numbers; "+Inf", "-Inf" and "NaN" as both formats spell them.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return value.description
  }
}

/// One series' labels, cleaned, sorted and bounded.
struct SeriesLabels: Hashable, Sendable {
  struct Label: Hashable, Sendable {
    var name: String
    var value: String
  }

  let labels: [Label]

  init(_ dimensions: [(String, String)]) {
    var byName: [String: String] = [:]
    for (name, value) in dimensions {
      byName[MetricName.label(name)] = String(value.unicodeScalars.prefix(MetricName.longestLabelValue))
    }
    labels = byName.sorted { $0.key < $1.key }.map { Label(name: $0.key, value: $0.value) }
  }

  /// Where all series go that would be too many (OpenTelemetry's `otel.metric.overflow`).
  static let overflow = SeriesLabels([("overflow", "true")])

  /// `{a="1",b="2"}`, or nothing; `extra` comes last.
  func text(_ extra: (String, String)? = nil) -> String {
    var parts = labels.map { "\($0.name)=\"\(MetricName.escaped($0.value))\"" }
    if let extra { parts.append("\(extra.0)=\"\(MetricName.escaped(extra.1))\"") }
    return parts.isEmpty ? "" : "{" + parts.joined(separator: ",") + "}"
  }
}
