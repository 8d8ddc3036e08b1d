import CDescriptor
import CProtobufC

/// Turns every `string` field of a request into a `bytes` field, for protoc-gen-c.
///
/// protobuf-c's C strings lose their length and stop at NUL, so its string fields cannot be checked. Both types look the same
/// on the wire; the generated Swift, which is made from the unchanged schema, checks UTF-8 and NUL itself. protobuf-c's own
/// option `string_as_bytes` does the same, but would have to stand on each field of every schema.
enum StringsAsBytes {
  static func rewrite(_ file: UnsafeMutablePointer<Google__Protobuf__FileDescriptorProto>) {
    for message in UnsafeBufferPointer(start: file.pointee.message_type, count: file.pointee.n_message_type) {
      if let message { rewrite(message) }
    }
  }

  private static func rewrite(_ message: UnsafeMutablePointer<Google__Protobuf__DescriptorProto>) {
    for field in UnsafeBufferPointer(start: message.pointee.field, count: message.pointee.n_field) {
      // TYPE_STRING = 9, TYPE_BYTES = 12.
      if let field, field.pointee.type.rawValue == 9 { field.pointee.type = .init(rawValue: 12) }
    }
    // A map is its entries. Only as an ordinary message may an entry have a key of bytes.
    if let options = message.pointee.options { options.pointee.has_map_entry = 0 }
    for inner in UnsafeBufferPointer(start: message.pointee.nested_type, count: message.pointee.n_nested_type) {
      if let inner { rewrite(inner) }
    }
  }
}
