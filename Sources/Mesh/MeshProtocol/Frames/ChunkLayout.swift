/// DATA frames written and read by hand, so that the body, the last thing on the wire, is copied once and only once.
///
/// What is written is an ordinary protobuf `Frame`. What is read here is only the layout that is written here: fields in order, none
/// twice. Any other layout is the general decoder's.
enum ChunkLayout {
  private static let streamIDTag: UInt8 = 1 << 3
  private static let dataTag: UInt8 = 15 << 3 | 2
  private static let endOfMessageTag: UInt8 = 1 << 3
  private static let endOfStreamTag: UInt8 = 2 << 3
  private static let bodyTag: UInt8 = 3 << 3 | 2

  static func encode(_ chunk: Frame.Chunk, streamID: UInt32, append: (UnsafeRawBufferPointer) -> Void) {
    let body = chunk.body.count
    var data = (chunk.endOfMessage ? 2 : 0) + (chunk.endOfStream ? 2 : 0)
    if body > 0 { data += 1 + varintBytes(UInt64(body)) + body }
    let whole = (streamID > 0 ? 1 + varintBytes(UInt64(streamID)) : 0) + 1 + varintBytes(UInt64(data)) + data
    // The longest header: 4 of length, 6 of stream id, 11 of DATA's length, 4 of flags, 11 of the body's length.
    withUnsafeTemporaryAllocation(byteCount: 48, alignment: 1) { header in
      var end = 0
      func put(_ byte: UInt8) {
        header[end] = byte
        end += 1
      }
      func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
          put(UInt8(truncatingIfNeeded: rest) | 0x80)
          rest >>= 7
        }
        put(UInt8(rest))
      }
      for shift in [24, 16, 8, 0] { put(UInt8(truncatingIfNeeded: whole >> shift)) }
      if streamID > 0 {
        put(streamIDTag)
        putVarint(UInt64(streamID))
      }
      put(dataTag)
      putVarint(UInt64(data))
      if chunk.endOfMessage {
        put(endOfMessageTag)
        put(1)
      }
      if chunk.endOfStream {
        put(endOfStreamTag)
        put(1)
      }
      if body > 0 {
        put(bodyTag)
        putVarint(UInt64(body))
      }
      append(UnsafeRawBufferPointer(rebasing: header[..<end]))
    }
    if body > 0 { chunk.body.withUnsafeBytes { append($0) } }
  }

  /// Nil: another frame, or another layout.
  static func decode(_ bytes: UnsafeRawBufferPointer) -> Frame? {
    var at = 0
    func flag(_ tag: UInt8) -> Bool? {
      guard at < bytes.count, bytes[at] == tag else { return false }
      guard at + 1 < bytes.count, bytes[at + 1] == 1 else { return nil }
      at += 2
      return true
    }
    func varint() -> UInt64? {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while at < bytes.count, shift < 35 {
        let byte = bytes[at]
        at += 1
        value |= UInt64(byte & 0x7f) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
      return nil
    }
    guard at < bytes.count, bytes[at] == streamIDTag else { return nil }
    at += 1
    guard let streamID = varint().flatMap(UInt32.init(exactly:)), at < bytes.count, bytes[at] == dataTag else { return nil }
    at += 1
    guard let data = varint(), data == UInt64(bytes.count - at), let endOfMessage = flag(endOfMessageTag),
      let endOfStream = flag(endOfStreamTag)
    else { return nil }
    guard at < bytes.count else {
      return Frame(streamID, .data(.init([], endOfMessage: endOfMessage, endOfStream: endOfStream)))
    }
    guard bytes[at] == bodyTag else { return nil }
    at += 1
    guard let body = varint(), body == UInt64(bytes.count - at) else { return nil }
    return Frame(streamID, .data(.init(ArraySlice(bytes[at...]), endOfMessage: endOfMessage, endOfStream: endOfStream)))
  }

  private static func varintBytes(_ value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }
}
