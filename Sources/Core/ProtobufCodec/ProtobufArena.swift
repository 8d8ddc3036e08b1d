package import CProtobufC
internal import CArena

/// Memory for one message while it is decoded or encoded, and the conversions of single fields. Valid only inside `with`.
public struct ProtobufArena {
  private let pointer: UnsafeMutablePointer<florin_arena>

  /// The messages nested in an encoded one, at most: what every protobuf decoder accepts.
  private static let encodedNesting: Int32 = 100
  /// Taken from the stack, so that a small message needs no malloc.
  private static let stackBytes = 4096

  static func with<Result>(limit: Int, _ body: (ProtobufArena) throws(ProtobufError) -> Result) throws(ProtobufError) -> Result {
    // withUnsafeTemporaryAllocation cannot throw a typed error, so the result is carried out.
    let result = withUnsafeTemporaryAllocation(byteCount: stackBytes, alignment: 16) { first in
      var arena = florin_arena()
      return withUnsafeMutablePointer(to: &arena) { pointer in
        florin_arena_init(pointer, first.baseAddress, stackBytes, max(0, limit))
        defer { florin_arena_destroy(pointer) }
        return Swift.Result { () throws(ProtobufError) -> Result in try body(ProtobufArena(pointer: pointer)) }
      }
    }
    return try result.get()
  }

  private init(pointer: UnsafeMutablePointer<florin_arena>) { self.pointer = pointer }

  private func allocate(_ count: Int) throws(ProtobufError) -> UnsafeMutableRawPointer {
    guard let memory = florin_arena_alloc(pointer, count) else { throw .tooLarge(limit: pointer.pointee.limit) }
    return memory
  }

  // MARK: Decoding

  func unpack<Message: ProtobufMessage>(_ bytes: UnsafeRawBufferPointer, limits: DecodingLimits) throws(ProtobufError) -> Message {
    // protobuf-c names the schema of a message in its struct only, so an empty one is made to ask it.
    let empty = try allocate(Message.protobufStorageSize)
    Message.protobufInitialize(empty)
    guard let descriptor = empty.assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor else { throw .malformed }
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    if Message.protobufIsRecursive, let start {
      let limit = Int32(clamping: max(0, limits.nesting))
      guard !florin_nesting_exceeds(descriptor, start, bytes.count, limit) else { throw .nestingTooDeep(limit: limits.nesting) }
    }
    let allocator = pointer.pointer(to: \.allocator)
    guard let message = protobuf_c_message_unpack(descriptor, allocator, bytes.count, start) else {
      throw pointer.pointee.exhausted ? .tooLarge(limit: limits.arenaBytes) : .malformed
    }
    return try Message(protobufStorage: UnsafeRawPointer(message))
  }

  // MARK: Encoding

  func storage<Message: ProtobufMessage>(of message: Message) throws(ProtobufError) -> UnsafeMutableRawPointer {
    let storage = try allocate(Message.protobufStorageSize)
    Message.protobufInitialize(storage)
    try message.protobufFill(storage, self)
    return storage
  }

  package func message<Message: ProtobufMessage, Storage>(_ message: Message) throws(ProtobufError) -> UnsafeMutablePointer<Storage> {
    guard pointer.pointee.depth < Self.encodedNesting else { throw .nestingTooDeep(limit: Int(Self.encodedNesting)) }
    pointer.pointee.depth += 1
    defer { pointer.pointee.depth -= 1 }
    return try storage(of: message).assumingMemoryBound(to: Storage.self)
  }

  package func optionalMessage<Message: ProtobufMessage, Storage>(
    _ message: Message?
  ) throws(ProtobufError) -> UnsafeMutablePointer<Storage>? {
    guard let message else { return nil }
    return try self.message(message) as UnsafeMutablePointer<Storage>
  }

  package func bytes(_ bytes: [UInt8]) throws(ProtobufError) -> ProtobufCBinaryData {
    guard !bytes.isEmpty else { return ProtobufCBinaryData(len: 0, data: nil) }
    let copy = try allocate(bytes.count)
    bytes.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: bytes.count) }
    return ProtobufCBinaryData(len: bytes.count, data: copy.assumingMemoryBound(to: UInt8.self))
  }

  package func string(_ string: String, _ field: StaticString) throws(ProtobufError) -> ProtobufCBinaryData {
    let count = string.utf8.count
    guard count > 0 else { return ProtobufCBinaryData(len: 0, data: nil) }
    let copy = UnsafeMutableRawBufferPointer(start: try allocate(count), count: count)
    copy.copyBytes(from: string.utf8)
    guard !copy.contains(0) else { throw .embeddedNUL(field: field.description) }
    return ProtobufCBinaryData(len: count, data: copy.baseAddress?.assumingMemoryBound(to: UInt8.self))
  }

  package func values<Value: BitwiseCopyable>(_ values: [Value]) throws(ProtobufError) -> UnsafeMutablePointer<Value>? {
    guard !values.isEmpty else { return nil }
    let copy = try array(of: Value.self, count: values.count)
    for index in values.indices { copy[index] = values[index] }
    return copy
  }

  package func bools(_ values: [Bool]) throws(ProtobufError) -> UnsafeMutablePointer<protobuf_c_boolean>? {
    guard !values.isEmpty else { return nil }
    let copy = try array(of: protobuf_c_boolean.self, count: values.count)
    for index in values.indices { copy[index] = values[index] ? 1 : 0 }
    return copy
  }

  /// protobuf-c forces every C enum to the size of an int.
  package func enums<Value: ProtobufEnum, CEnum>(_ values: [Value]) throws(ProtobufError) -> UnsafeMutablePointer<CEnum>? {
    guard !values.isEmpty else { return nil }
    let copy = UnsafeMutableRawPointer(try array(of: Int32.self, count: values.count))
    for index in values.indices { copy.storeBytes(of: values[index].rawValue, toByteOffset: index * 4, as: Int32.self) }
    return copy.assumingMemoryBound(to: CEnum.self)
  }

  package func strings(_ values: [String], _ field: StaticString) throws(ProtobufError) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    guard !values.isEmpty else { return nil }
    let copy = try array(of: ProtobufCBinaryData.self, count: values.count)
    for index in values.indices { copy[index] = try string(values[index], field) }
    return copy
  }

  package func bytes(_ values: [[UInt8]]) throws(ProtobufError) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    guard !values.isEmpty else { return nil }
    let copy = try array(of: ProtobufCBinaryData.self, count: values.count)
    for index in values.indices { copy[index] = try bytes(values[index]) }
    return copy
  }

  package func messages<Message: ProtobufMessage, Storage>(
    _ values: [Message]
  ) throws(ProtobufError) -> UnsafeMutablePointer<UnsafeMutablePointer<Storage>?>? {
    guard !values.isEmpty else { return nil }
    let copy = try array(of: UnsafeMutablePointer<Storage>?.self, count: values.count)
    for index in values.indices { copy[index] = try message(values[index]) as UnsafeMutablePointer<Storage> }
    return copy
  }

  private func array<Element>(of type: Element.Type, count: Int) throws(ProtobufError) -> UnsafeMutablePointer<Element> {
    try allocate(count * MemoryLayout<Element>.stride).bindMemory(to: type, capacity: count)
  }
}
