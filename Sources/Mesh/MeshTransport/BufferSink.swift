internal import MeshTLS
internal import NIOCore

/// Lets the TLS engine write straight into a `ByteBuffer`.
struct BufferSink: TLSByteSink {
  var buffer: ByteBuffer

  mutating func append(capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) {
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity, fill)
  }
}
