/// Somewhere to put bytes, without a copy. NIO's `ByteBuffer` is one by `writeWithUnsafeMutableBytes(minimumWritableBytes:)`.
public protocol TLSByteSink {
  /// Makes room for at least `capacity` bytes at the end, hands that room to `fill`, and keeps the first n bytes of it,
  /// n being what `fill` returns. The room is valid during the call only.
  mutating func append(capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int)
}

extension [UInt8]: TLSByteSink {
  public mutating func append(capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) {
    self += [UInt8](unsafeUninitializedCapacity: capacity) { room, count in count = fill(UnsafeMutableRawBufferPointer(room)) }
  }
}
