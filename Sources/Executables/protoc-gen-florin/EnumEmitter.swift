/// Writes an open enum.
struct EnumEmitter {
  let types: TypeTable

  func emit(_ enumeration: ProtoEnum, into out: inout SwiftWriter) {
    let cases = enumeration.values.map { Naming.identifier(Naming.caseName($0.name, enumName: enumeration.name)) }
    out.documentation(enumeration.comment, default: "`\(enumeration.fullName)`.")
    out.block("public enum \(Naming.identifier(enumeration.name)): ProtobufEnum") { out in
      for (value, name) in zip(enumeration.values, cases) {
        out.documentation(value.comment)
        out.line("case \(name)")
      }
      out.line("/// A number that this schema has no name for.")
      out.line("case unrecognized(Int32)")
      out.line()
      out.line("/// Those that have a name.")
      let type = types.swiftName(enumeration.fullName)
      out.line("public static let allCases: [\(type)] = [\(cases.map { "." + $0 }.joined(separator: ", "))]")
      out.line()
      out.block("public init(rawValue: Int32)") { out in
        out.block("switch rawValue") { out in
          for (value, name) in zip(enumeration.values, cases) { out.line("case \(value.number): self = .\(name)") }
          out.line("default: self = .unrecognized(rawValue)")
        }
      }
      out.line()
      out.block("public var rawValue: Int32") { out in
        out.block("switch self") { out in
          for (value, name) in zip(enumeration.values, cases) { out.line("case .\(name): \(value.number)") }
          out.line("case .unrecognized(let number): number")
        }
      }
      out.line()
      out.block("public var description: String") { out in
        out.block("switch self") { out in
          for (value, name) in zip(enumeration.values, cases) { out.line("case .\(name): \"\(value.name)\"") }
          out.line("case .unrecognized(let number): String(number)")
        }
      }
    }
  }
}
