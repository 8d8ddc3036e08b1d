/// What one side of a connection is ready to receive, as it says in its HELLO. Bytes and counts.
package struct ConnectionLimits: Sendable, Hashable {
  /// Of one frame: the protobuf bytes, without the 4 bytes of length.
  package var frameBytes: Int
  /// Of one message. A method may have a smaller one of its own.
  package var messageBytes: Int
  /// Streams open at once.
  package var concurrentStreams: Int
  /// Of the metadata of one OPEN or STATUS, counted as `Metadata.countedBytes` does.
  package var metadataBytes: Int
  /// Credit that each stream, and the connection, begins with. Holds only where both sides set the flow-control feature.
  package var streamWindowBytes: Int
  package var connectionWindowBytes: Int

  package init(
    frameBytes: Int = 64 << 10, messageBytes: Int = 4 << 20, concurrentStreams: Int = 100, metadataBytes: Int = 16 << 10,
    streamWindowBytes: Int = 1 << 20, connectionWindowBytes: Int = 4 << 20
  ) {
    self.frameBytes = frameBytes
    self.messageBytes = messageBytes
    self.concurrentStreams = concurrentStreams
    self.metadataBytes = metadataBytes
    self.streamWindowBytes = streamWindowBytes
    self.connectionWindowBytes = connectionWindowBytes
  }

  /// Every peer takes frames of this size. A HELLO is never larger, because nothing is agreed when it is sent.
  package static let smallestFrameBytes = 8 << 10
  /// No peer may ask for larger frames.
  package static let largestFrameBytes = 16 << 20
  /// What a frame must hold besides metadata: method, keys, status message.
  package static let reserveBytes = 4 << 10
  /// Of a method path, of an idempotency key, and of a reason; UTF-8 bytes.
  package static let nameBytes = 255
  /// Of a status message, UTF-8 bytes; longer ones are cut by the sender.
  package static let statusMessageBytes = 2 << 10
  /// Stream ids stay below 2³¹, so that every language can hold them.
  package static let largestStreamID: UInt32 = 0x7fff_ffff

  /// What a frame's header takes at most besides the body of a DATA: tags, stream id, two lengths, two flags.
  package static let chunkOverheadBytes = 32

  /// Why a peer that states these limits cannot be talked to, or nil.
  package var defect: String? {
    guard (Self.smallestFrameBytes...Self.largestFrameBytes).contains(frameBytes) else {
      return "frame_bytes is \(frameBytes), outside \(Self.smallestFrameBytes)…\(Self.largestFrameBytes)"
    }
    guard messageBytes > 0 else { return "message_bytes is 0" }
    guard concurrentStreams > 0 else { return "concurrent_streams is 0" }
    guard metadataBytes <= frameBytes - Self.reserveBytes else {
      return "metadata_bytes is \(metadataBytes), more than frame_bytes less \(Self.reserveBytes)"
    }
    return nil
  }
}
