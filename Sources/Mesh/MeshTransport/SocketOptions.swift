package import NIOCore

/// How the mesh sets up its sockets.
package enum SocketOptions {
  /// Writing stops while this much waits in a socket's buffer, and goes on when it has fallen to the lower mark. Bytes.
  package static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 512 << 10)

  /// Reads grow from 4 KiB to 256 KiB with the traffic.
  package static var readAllocator: AdaptiveRecvByteBufferAllocator {
    AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)
  }
}
