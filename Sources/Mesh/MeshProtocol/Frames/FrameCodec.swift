internal import ProtobufCodec

/// Frames to bytes and back: a 4-byte big-endian length, then one protobuf `florin.wire.v1.Frame`.
package enum FrameCodec {
  /// Bytes of the length before each frame.
  package static let prefixBytes = 4

  /// Reads the first frame of `bytes`, or returns nil while it is not whole.
  ///
  /// The length is judged as soon as its four bytes are there: nothing is awaited, and nothing allocated, for a frame over the limit.
  /// - Returns: the frame and the bytes it took, prefix included.
  package static func firstFrame(
    of bytes: UnsafeRawBufferPointer, limitBytes: Int
  ) throws(FrameError) -> (frame: Frame, bytesTaken: Int)? {
    guard bytes.count >= prefixBytes else { return nil }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    guard length > 0 else { throw .emptyFrame }
    guard length <= limitBytes else { throw .frameTooLarge(bytes: length, limit: limitBytes) }
    guard bytes.count - prefixBytes >= length else { return nil }
    let body = UnsafeRawBufferPointer(rebasing: bytes[prefixBytes..<prefixBytes + length])
    return (try decode(body), prefixBytes + length)
  }

  /// Reads one frame's protobuf bytes.
  package static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> Frame {
    if let chunk = ChunkLayout.decode(bytes) { return chunk }
    do {
      return Frame(try WireAPI.Frame(serialized: bytes, limits: DecodingLimits(nesting: 8, arenaBytes: 64 << 20)))
    } catch {
      throw .malformed("\(error)")
    }
  }

  /// Hands the frame's bytes, prefix included, to `append`, in one or two pieces.
  package static func encode(_ frame: Frame, append: (UnsafeRawBufferPointer) -> Void) throws(FrameError) {
    if case .data(let chunk) = frame.kind {
      ChunkLayout.encode(chunk, streamID: frame.streamID, append: append)
      return
    }
    var bytes: [UInt8]
    do {
      bytes = try WireAPI.Frame(frame).serialized(headroom: prefixBytes)
    } catch {
      throw .malformed("\(error)")
    }
    let length = UInt32(bytes.count - prefixBytes).bigEndian
    bytes.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: length, as: UInt32.self)
      append(UnsafeRawBufferPointer(bytes))
    }
  }

  /// The frame's bytes, prefix included.
  package static func encoded(_ frame: Frame) throws(FrameError) -> [UInt8] {
    var bytes: [UInt8] = []
    try encode(frame) { bytes.append(contentsOf: $0) }
    return bytes
  }
}
