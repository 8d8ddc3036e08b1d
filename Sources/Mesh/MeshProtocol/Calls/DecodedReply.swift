/// A successful answer, decoded, with the bytes it came as and what travelled beside it.
public struct DecodedReply<Message: Sendable & Hashable>: Sendable, Hashable {
  public var message: Message
  /// As received: a replayed answer can be compared byte by byte.
  public var encoded: [UInt8]
  public var trailers: Metadata

  public init(message: Message, encoded: [UInt8], trailers: Metadata) {
    self.message = message
    self.encoded = encoded
    self.trailers = trailers
  }
}
