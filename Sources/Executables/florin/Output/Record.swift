import Money

/// Something to be shown: fields in order, as lines for people and as JSON for machines. One description, two looks, so that
/// neither can say what the other does not.
struct Record {
  struct Field {
    var name: String
    var value: Value
  }

  indirect enum Value {
    case text(String)
    case number(Int64)
    case flag(Bool)
    case null
    case record(Record)
    case records([Record])
    case texts([String])

    /// The decimal of an amount, as a text: exact in every reader of JSON.
    static func amount(_ amount: Amount) -> Value { .text(amount.decimal) }

    /// An instant, or null for 0, which stands for "not yet".
    static func instant(microseconds: Int64) -> Value {
      microseconds == 0 ? .null : .text(Timestamp(microseconds: microseconds).description)
    }

    /// Null instead of an empty text.
    static func textOrNull(_ text: String) -> Value { text.isEmpty ? .null : .text(text) }
  }

  private(set) var fields: [Field]

  init(_ fields: [(String, Value)]) { self.fields = fields.map { Field(name: $0.0, value: $0.1) } }

  mutating func append(_ name: String, _ value: Value) { fields.append(Field(name: name, value: value)) }

  // MARK: - for machines

  /// JSON, indented, keys in order.
  var json: String { Self.json(.record(self), indent: "") }

  private static func json(_ value: Value, indent: String) -> String {
    let inner = indent + "  "
    func list(_ open: String, _ items: [String], _ close: String) -> String {
      items.isEmpty ? open + close : open + "\n" + items.map { inner + $0 }.joined(separator: ",\n") + "\n" + indent + close
    }
    return switch value {
    case .text(let text): quoted(text)
    case .number(let number): String(number)
    case .flag(let flag): flag ? "true" : "false"
    case .null: "null"
    case .record(let record): list("{", record.fields.map { quoted($0.name) + ": " + json($0.value, indent: inner) }, "}")
    case .records(let records): list("[", records.map { json(.record($0), indent: inner) }, "]")
    case .texts(let texts): list("[", texts.map(quoted), "]")
    }
  }

  /// RFC 8259 §7.
  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }

  // MARK: - for people

  /// "name   value" lines, aligned; what is null is left out.
  var lines: String {
    let shown = fields.compactMap { field in Self.plain(field.value).map { (Self.label(field.name), $0) } }
    let width = shown.map(\.0.count).max() ?? 0
    return shown.map { pad($0.0, width) + "  " + $0.1 }.joined(separator: "\n")
  }

  /// A table with the named columns; numbers and amounts to the right.
  static func table(_ records: [Record], columns: [String], right: Set<String> = []) -> String {
    let heads = columns.map { label($0).uppercased() }
    let rows = records.map { record in
      columns.map { column in record.fields.first { $0.name == column }.flatMap { plain($0.value) } ?? "" }
    }
    let widths = columns.indices.map { index in ([heads] + rows).map { $0[index].count }.max() ?? 0 }
    return ([heads] + rows).map { row in
      var line = ""
      for index in columns.indices {
        let cell =
          right.contains(columns[index])
          ? String(repeating: " ", count: widths[index] - row[index].count) + row[index]
          : pad(row[index], index == columns.count - 1 ? 0 : widths[index])
        line += (index == 0 ? "" : "  ") + cell
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  private static func label(_ name: String) -> String { name.replacing("_", with: " ") }

  private static func plain(_ value: Value) -> String? {
    switch value {
    case .text(let text): text
    case .number(let number): String(number)
    case .flag(let flag): flag ? "yes" : "no"
    case .null, .record, .records: nil
    case .texts(let texts): texts.isEmpty ? nil : texts.joined(separator: ", ")
    }
  }
}

private func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
