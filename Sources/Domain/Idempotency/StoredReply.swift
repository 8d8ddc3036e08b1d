/// The final reply to a request, as it was first given. A replay sends these very bytes.
public struct StoredReply: Hashable, Sendable {
  /// gRPC status code; 0 is OK. A business decline is an OK reply that says "declined".
  public let statusCode: Int32
  public let message: [UInt8]

  public init(statusCode: Int32, message: [UInt8]) {
    self.statusCode = statusCode
    self.message = message
  }
}
