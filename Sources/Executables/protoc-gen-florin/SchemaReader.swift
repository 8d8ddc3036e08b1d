import CDescriptor
import CProtobufC

/// Reads protoc's descriptors, which protobuf-c has unpacked, into `ProtoFile`s.
struct SchemaReader {
  private let package: String
  /// By the path that SourceCodeInfo gives a declaration.
  private let comments: [[Int32]: String]

  static func read(_ file: Google__Protobuf__FileDescriptorProto) throws(GenerationError) -> ProtoFile {
    let name = string(file.name)
    guard string(file.syntax) == "proto3" else { throw GenerationError("\(name): only proto3 is supported") }
    var comments: [[Int32]: String] = [:]
    if let info = file.source_code_info?.pointee {
      for location in array(info.location, info.n_location) {
        let path = Array(UnsafeBufferPointer(start: location.path, count: location.n_path))
        let text = [string(location.leading_comments), string(location.trailing_comments)].filter { !$0.isEmpty }
        if !text.isEmpty { comments[path] = text.joined(separator: "\n") }
      }
    }
    let reader = SchemaReader(package: string(file.package), comments: comments)
    // The numbers in a path are those of the fields in descriptor.proto.
    return ProtoFile(
      name: name, package: reader.package, comment: comments[[2]] ?? "",
      messages: try reader.each(array(file.message_type, file.n_message_type), [4]) { (descriptor, path) throws(GenerationError) in
        try reader.message(descriptor, path, scope: reader.package)
      },
      enums: try reader.each(array(file.enum_type, file.n_enum_type), [5]) { (descriptor, path) throws(GenerationError) in
        try reader.enumeration(descriptor, path, scope: reader.package)
      },
      services: try reader.each(array(file.service, file.n_service), [6]) { (descriptor, path) throws(GenerationError) in
        try reader.service(descriptor, path)
      })
  }

  private func each<Descriptor, Value>(
    _ descriptors: [Descriptor], _ path: [Int32], _ read: (Descriptor, [Int32]) throws(GenerationError) -> Value
  ) throws(GenerationError) -> [Value] {
    var values: [Value] = []
    for (index, descriptor) in descriptors.enumerated() { values.append(try read(descriptor, path + [Int32(index)])) }
    return values
  }

  private func message(
    _ descriptor: Google__Protobuf__DescriptorProto, _ path: [Int32], scope: String
  ) throws(GenerationError) -> ProtoMessage {
    let name = string(descriptor.name)
    let fullName = scope + "." + name
    return ProtoMessage(
      name: name, fullName: fullName, comment: comments[path] ?? "",
      fields: try each(array(descriptor.field, descriptor.n_field), path + [2]) { (field, path) throws(GenerationError) in
        try self.field(field, path, of: fullName)
      },
      oneofs: try each(array(descriptor.oneof_decl, descriptor.n_oneof_decl), path + [8]) { (oneof, path) throws(GenerationError) in
        ProtoOneof(name: string(oneof.name), comment: comments[path] ?? "")
      },
      messages: try each(array(descriptor.nested_type, descriptor.n_nested_type), path + [3]) { (inner, path) throws(GenerationError) in
        try message(inner, path, scope: fullName)
      },
      enums: try each(array(descriptor.enum_type, descriptor.n_enum_type), path + [4]) { (inner, path) throws(GenerationError) in
        try enumeration(inner, path, scope: fullName)
      })
  }

  private func field(
    _ descriptor: Google__Protobuf__FieldDescriptorProto, _ path: [Int32], of message: String
  ) throws(GenerationError) -> ProtoField {
    let name = string(descriptor.name)
    guard descriptor.proto3_optional == 0 else {
      throw GenerationError("\(message).\(name): protobuf-c knows no proto3 `optional`; use a oneof of one member")
    }
    let typeName = String(string(descriptor.type_name).drop { $0 == "." })
    let kind: ProtoField.Kind
    switch descriptor.type.rawValue {
    case 1: kind = .double
    case 2: kind = .float
    case 3, 16, 18: kind = .int64
    case 4, 6: kind = .uint64
    case 5, 15, 17: kind = .int32
    case 7, 13: kind = .uint32
    case 8: kind = .bool
    case 9: kind = .string
    case 11: kind = .message(typeName)
    case 12: kind = .bytes
    case 14: kind = .enum(typeName)
    default: throw GenerationError("\(message).\(name): fields of type \(descriptor.type.rawValue) are not supported")
    }
    return ProtoField(
      name: name, number: descriptor.number, kind: kind, isRepeated: descriptor.label.rawValue == 3,
      oneof: descriptor.has_oneof_index != 0 ? Int(descriptor.oneof_index) : nil, comment: comments[path] ?? "")
  }

  private func enumeration(
    _ descriptor: Google__Protobuf__EnumDescriptorProto, _ path: [Int32], scope: String
  ) throws(GenerationError) -> ProtoEnum {
    let name = string(descriptor.name)
    let values = try each(array(descriptor.value, descriptor.n_value), path + [2]) { (value, path) throws(GenerationError) in
      ProtoEnum.Value(name: string(value.name), number: value.number, comment: comments[path] ?? "")
    }
    guard Set(values.map(\.number)).count == values.count else {
      throw GenerationError("\(scope).\(name): two names for one number (allow_alias) are not supported")
    }
    let cases = values.map { Naming.caseName($0.name, enumName: name) }
    guard Set(cases).count == cases.count, !cases.contains("unrecognized") else {
      throw GenerationError("\(scope).\(name): two values would get one Swift name, or one the name `unrecognized`")
    }
    return ProtoEnum(name: name, fullName: scope + "." + name, comment: comments[path] ?? "", values: values)
  }

  private func service(_ descriptor: Google__Protobuf__ServiceDescriptorProto, _ path: [Int32]) throws(GenerationError) -> ProtoService {
    let fullName = package + "." + string(descriptor.name)
    return ProtoService(
      name: string(descriptor.name), fullName: fullName, comment: comments[path] ?? "",
      methods: try each(array(descriptor.method, descriptor.n_method), path + [2]) { (method, path) throws(GenerationError) in
        let name = string(method.name)
        guard method.client_streaming == 0, method.server_streaming == 0 else {
          throw GenerationError("\(fullName).\(name): no code is generated for streaming calls yet")
        }
        let idempotency: ProtoService.Method.Idempotency
        switch method.options?.pointee.idempotency_level.rawValue {
        case 1: idempotency = .noSideEffects
        case 2: idempotency = .idempotent
        default: idempotency = .unknown
        }
        return ProtoService.Method(
          name: name, comment: comments[path] ?? "", input: String(string(method.input_type).drop { $0 == "." }),
          output: String(string(method.output_type).drop { $0 == "." }), idempotency: idempotency)
      })
  }
}

/// A C string of protoc's, which are always UTF-8.
func string(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }

/// protobuf-c keeps repeated messages as an array of pointers.
func array<Element>(_ pointers: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?, _ count: Int) -> [Element] {
  UnsafeBufferPointer(start: pointers, count: count).compactMap { $0?.pointee }
}
