package import CProtobufC
#if canImport(Glibc)
  internal import Glibc
#endif

/// From protobuf-c's fields to Swift's. Called by generated code.
package enum ProtobufField {
  package static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] { Array(UnsafeBufferPointer(start: data.data, count: data.len)) }

  /// Strings travel through protobuf-c as bytes, since its C strings would lose their length and stop at NUL.
  package static func string(_ data: ProtobufCBinaryData, _ field: StaticString) throws(ProtobufError) -> String {
    guard data.len > 0, let start = data.data else { return "" }
    guard memchr(start, 0, data.len) == nil else { throw .embeddedNUL(field: field.description) }
    guard let string = String(validating: UnsafeBufferPointer(start: start, count: data.len), as: UTF8.self) else {
      throw .invalidUTF8(field: field.description)
    }
    return string
  }

  package static func message<Message: ProtobufMessage, Storage>(
    _ pointer: UnsafeMutablePointer<Storage>?
  ) throws(ProtobufError) -> Message? {
    guard let pointer else { return nil }
    return try Message(protobufStorage: UnsafeRawPointer(pointer))
  }

  package static func values<Value>(_ pointer: UnsafeMutablePointer<Value>?, _ count: Int) -> [Value] {
    Array(UnsafeBufferPointer(start: pointer, count: count))
  }

  package static func bools(_ pointer: UnsafeMutablePointer<protobuf_c_boolean>?, _ count: Int) -> [Bool] {
    UnsafeBufferPointer(start: pointer, count: count).map { $0 != 0 }
  }

  /// protobuf-c forces every C enum to the size of an int.
  package static func enums<Value: ProtobufEnum, CEnum>(_ pointer: UnsafeMutablePointer<CEnum>?, _ count: Int) -> [Value] {
    let raw = UnsafeRawBufferPointer(start: pointer, count: count * 4)
    return (0..<count).map { Value(rawValue: raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
  }

  package static func strings(
    _ pointer: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int, _ field: StaticString
  ) throws(ProtobufError) -> [String] {
    var strings: [String] = []
    strings.reserveCapacity(count)
    for data in UnsafeBufferPointer(start: pointer, count: count) { strings.append(try string(data, field)) }
    return strings
  }

  package static func bytes(_ pointer: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int) -> [[UInt8]] {
    UnsafeBufferPointer(start: pointer, count: count).map { bytes($0) }
  }

  package static func messages<Message: ProtobufMessage, Storage>(
    _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Storage>?>?, _ count: Int
  ) throws(ProtobufError) -> [Message] {
    var messages: [Message] = []
    messages.reserveCapacity(count)
    for element in UnsafeBufferPointer(start: pointer, count: count) {
      guard let message: Message = try message(element) else { throw .malformed }
      messages.append(message)
    }
    return messages
  }
}
