/// Writes a message as a struct, with its conversions from and to protobuf-c's struct.
struct MessageEmitter {
  let types: TypeTable

  /// A field outside oneofs, or a oneof: what becomes a stored property.
  private struct Property {
    var name: String
    var type: String
    var defaultValue: String
    var comment: String
    var isIndirect = false
  }

  func emit(_ message: ProtoMessage, into out: inout SwiftWriter) {
    let properties = properties(of: message)
    out.documentation(message.comment, default: "`\(message.fullName)`.")
    out.block("public struct \(Naming.identifier(message.name)): ProtobufMessage") { out in
      for inner in message.enums {
        EnumEmitter(types: types).emit(inner, into: &out)
        out.line()
      }
      for inner in message.messages {
        emit(inner, into: &out)
        out.line()
      }
      for index in message.oneofs.indices {
        oneof(index, of: message, into: &out)
        out.line()
      }
      for property in properties { self.property(property, into: &out) }
      if !properties.isEmpty { out.line() }
      out.line("public init() {}")
      if !properties.isEmpty {
        out.line()
        memberwise(properties, into: &out)
      }
      out.line()
      storage(message, into: &out)
      decoding(message, into: &out)
      out.line()
      encoding(message, into: &out)
    }
  }

  // MARK: Declarations

  private func properties(of message: ProtoMessage) -> [Property] {
    message.fields.filter { $0.oneof == nil }.map { field in
      let type = typeName(field)
      let (full, value) =
        field.isRepeated ? ("[\(type)]", "[]") : field.messageName != nil ? (type + "?", "nil") : (type, zero(field))
      return Property(
        name: swiftName(field), type: full, defaultValue: value, comment: field.comment,
        isIndirect: types.needsIndirection(field, in: message))
    }
      + message.oneofs.map { oneof in
        let type = types.swiftName(message.fullName) + "." + Naming.identifier(Naming.upperCamel(oneof.name))
        return Property(name: oneofName(oneof), type: type + "?", defaultValue: "nil", comment: oneof.comment)
      }
  }

  private func property(_ property: Property, into out: inout SwiftWriter) {
    if property.isIndirect {
      let base = property.type.dropLast()
      let stored = "_" + property.name.filter { $0 != "`" }
      out.line("private var \(stored) = ProtobufIndirect<\(base)>.none")
      out.documentation(property.comment)
      out.block("public var \(property.name): \(property.type)") { out in
        out.line("get { \(stored).value }")
        out.line("set { \(stored) = ProtobufIndirect(newValue) }")
      }
    } else {
      out.documentation(property.comment)
      out.line("public var \(property.name): \(property.type) = \(property.defaultValue)")
    }
  }

  private func memberwise(_ properties: [Property], into out: inout SwiftWriter) {
    let parameters = properties.map { "\($0.name): \($0.type) = \($0.defaultValue)" }
    let short = "public init(" + parameters.joined(separator: ", ") + ")"
    let body = { (out: inout SwiftWriter) in
      for property in properties { out.line("self.\(property.name) = \(property.name)") }
    }
    if short.count <= 130 {
      out.block(short, body)
    } else {
      out.line("public init(")
      for (index, parameter) in parameters.enumerated() {
        out.line("  " + parameter + (index == parameters.count - 1 ? "" : ","))
      }
      out.block(")", body)
    }
  }

  private func oneof(_ index: Int, of message: ProtoMessage, into out: inout SwiftWriter) {
    let oneof = message.oneofs[index]
    let fields = message.fields.filter { $0.oneof == index }
    let indirect = fields.contains { types.needsIndirection($0, in: message) } ? "indirect " : ""
    out.documentation(oneof.comment, default: "One of them, or none.")
    out.block("public \(indirect)enum \(Naming.identifier(Naming.upperCamel(oneof.name))): Sendable, Hashable") { out in
      for field in fields {
        out.documentation(field.comment)
        out.line("case \(swiftName(field))(\(typeName(field)))")
      }
    }
  }

  private func storage(_ message: ProtoMessage, into out: inout SwiftWriter) {
    let cType = Naming.cType(message.fullName)
    out.line("public static var protobufStorageSize: Int { MemoryLayout<\(cType)>.size }")
    out.line("public static var protobufIsRecursive: Bool { \(types.isRecursive(message.fullName)) }")
    out.block("public static func protobufInitialize(_ storage: UnsafeMutableRawPointer)") { out in
      out.line("\(Naming.cFunctionPrefix(message.fullName))__init(storage.assumingMemoryBound(to: \(cType).self))")
    }
    out.line()
  }

  // MARK: From C

  private func decoding(_ message: ProtoMessage, into out: inout SwiftWriter) {
    out.block("public init(protobufStorage storage: UnsafeRawPointer) throws(ProtobufError)") { out in
      if message.fields.isEmpty { return }
      out.line("let m = storage.assumingMemoryBound(to: \(Naming.cType(message.fullName)).self)")
      for field in message.fields where field.oneof == nil {
        out.line("self.\(swiftName(field)) = \(field.isRepeated ? decodedArray(field, message) : decodedValue(field, message))")
      }
      for (index, oneof) in message.oneofs.enumerated() {
        out.block("switch m.pointee.\(Naming.cField(oneof.name + "_case")).rawValue") { out in
          for field in message.fields where field.oneof == index {
            let assignment = "self.\(oneofName(oneof)) = .\(swiftName(field))"
            out.line("case \(field.number):")
            if field.messageName != nil {
              out.line("  let value: \(typeName(field))? = \(decodedValue(field, message))")
              out.line("  if let value { \(assignment)(value) }")
            } else {
              out.line("  \(assignment)(\(decodedValue(field, message)))")
            }
          }
          out.line("default: break")
        }
      }
    }
  }

  private func decodedValue(_ field: ProtoField, _ message: ProtoMessage) -> String {
    let c = "m.pointee.\(Naming.cField(field.name))"
    return switch field.kind {
    case .bool: "\(c) != 0"
    case .string: "try ProtobufField.string(\(c), \(label(field, message)))"
    case .bytes: "ProtobufField.bytes(\(c))"
    case .enum: "\(typeName(field))(rawValue: Int32(truncatingIfNeeded: \(c).rawValue))"
    case .message: "try ProtobufField.message(\(c))"
    default: c
    }
  }

  private func decodedArray(_ field: ProtoField, _ message: ProtoMessage) -> String {
    let name = Naming.cField(field.name)
    let arguments = "m.pointee.\(name), m.pointee.\(count(field))"
    return switch field.kind {
    case .bool: "ProtobufField.bools(\(arguments))"
    case .string: "try ProtobufField.strings(\(arguments), \(label(field, message)))"
    case .bytes: "ProtobufField.bytes(\(arguments))"
    case .enum: "ProtobufField.enums(\(arguments))"
    case .message: "try ProtobufField.messages(\(arguments))"
    default: "ProtobufField.values(\(arguments))"
    }
  }

  // MARK: To C

  private func encoding(_ message: ProtoMessage, into out: inout SwiftWriter) {
    out.block("public func protobufFill(_ storage: UnsafeMutableRawPointer, _ arena: ProtobufArena) throws(ProtobufError)") { out in
      if message.fields.isEmpty { return }
      out.line("let m = storage.assumingMemoryBound(to: \(Naming.cType(message.fullName)).self)")
      for field in message.fields where field.oneof == nil {
        let name = "self.\(swiftName(field))"
        if field.isRepeated {
          out.line("m.pointee.\(count(field)) = \(name).count")
          out.line("m.pointee.\(Naming.cField(field.name)) = \(encodedArray(name, field, message))")
        } else {
          out.line("m.pointee.\(Naming.cField(field.name)) = \(encodedValue(name, field, message, optional: true))")
        }
      }
      for (index, oneof) in message.oneofs.enumerated() {
        out.block("switch self.\(oneofName(oneof))") { out in
          for field in message.fields where field.oneof == index {
            out.line("case .\(swiftName(field))(let value):")
            out.line("  m.pointee.\(Naming.cField(oneof.name + "_case")) = .init(rawValue: \(field.number))")
            out.line("  m.pointee.\(Naming.cField(field.name)) = \(encodedValue("value", field, message, optional: false))")
          }
          out.line("case nil: break")
        }
      }
    }
  }

  private func encodedValue(_ value: String, _ field: ProtoField, _ message: ProtoMessage, optional: Bool) -> String {
    switch field.kind {
    case .bool: "\(value) ? 1 : 0"
    case .string: "try arena.string(\(value), \(label(field, message)))"
    case .bytes: "try arena.bytes(\(value))"
    case .enum(let name): "\(Naming.cType(name))(rawValue: .init(truncatingIfNeeded: \(value).rawValue))"
    case .message: "try arena.\(optional ? "optionalMessage" : "message")(\(value))"
    default: value
    }
  }

  private func encodedArray(_ value: String, _ field: ProtoField, _ message: ProtoMessage) -> String {
    switch field.kind {
    case .bool: "try arena.bools(\(value))"
    case .string: "try arena.strings(\(value), \(label(field, message)))"
    case .bytes: "try arena.bytes(\(value))"
    case .enum: "try arena.enums(\(value))"
    case .message: "try arena.messages(\(value))"
    default: "try arena.values(\(value))"
    }
  }

  // MARK: Names

  private func swiftName(_ field: ProtoField) -> String { Naming.identifier(Naming.lowerCamel(field.name)) }
  private func oneofName(_ oneof: ProtoOneof) -> String { Naming.identifier(Naming.lowerCamel(oneof.name)) }
  private func count(_ field: ProtoField) -> String { "n_" + field.name.lowercased() }
  private func label(_ field: ProtoField, _ message: ProtoMessage) -> String { "\"\(message.name).\(field.name)\"" }

  private func typeName(_ field: ProtoField) -> String {
    switch field.kind {
    case .double: "Double"
    case .float: "Float"
    case .int32: "Int32"
    case .int64: "Int64"
    case .uint32: "UInt32"
    case .uint64: "UInt64"
    case .bool: "Bool"
    case .string: "String"
    case .bytes: "[UInt8]"
    case .message(let name), .enum(let name): types.swiftName(name)
    }
  }

  private func zero(_ field: ProtoField) -> String {
    switch field.kind {
    case .bool: "false"
    case .string: "\"\""
    case .bytes: "[]"
    case .message: "nil"
    case .enum(let name): "." + Naming.identifier(types.zeroCases[name] ?? "unspecified")
    default: "0"
    }
  }
}
