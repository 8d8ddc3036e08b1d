internal import COpenSSL

/// The memory that OpenSSL reads ciphertext from and writes ciphertext to, during one call of the engine.
///
/// Instead of copying through a memory BIO, OpenSSL reads straight out of the caller's inbound bytes and writes straight
/// into the caller's outbound bytes. What does not fit there (or comes when no room was offered: handshake, alerts, key
/// updates) goes to `overflow`, which the engine hands over before the call returns. So a write never has to wait.
struct BIOWindow {
  var input: UnsafePointer<UInt8>?
  var inputCount = 0
  var output: UnsafeMutablePointer<UInt8>?
  var outputCount = 0
  var outputCapacity = 0
  var overflow: [UInt8] = []
  /// Set when the peer broke a limit: nothing more is read, and nothing is answered.
  var isShut = false
  /// KEY_UPDATE messages received.
  var keyUpdates: UInt64 = 0
  /// Ciphertext bytes received, which is what entitles a peer to key updates.
  var received: UInt64 = 0

  /// A sound peer updates its keys after millions of records. This is far more than it needs, and far too little to keep
  /// us busy deriving keys.
  var allowedKeyUpdates: UInt64 { 8 + received >> 24 }
}

enum WindowBIO {
  /// Safe although unchecked: made once (Swift's lazy initialisation is atomic), never changed, never freed.
  nonisolated(unsafe) private static let method: OpaquePointer? = {
    guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "florin window") else { return nil }
    BIO_meth_set_read(method, read)
    BIO_meth_set_write(method, write)
    BIO_meth_set_ctrl(method, control)
    return method
  }()

  /// A BIO over `window`, which must outlive it.
  static func make(over window: UnsafeMutablePointer<BIOWindow>) -> OpaquePointer? {
    guard let method, let bio = BIO_new(method) else { return nil }
    BIO_set_data(bio, window)
    BIO_set_init(bio, 1)
    return bio
  }

  private static let read: @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int32) -> Int32 = { bio, destination, room in
    guard let window = BIO_get_data(bio)?.assumingMemoryBound(to: BIOWindow.self), let destination else { return -1 }
    florin_BIO_clear_retry_flags(bio)
    guard window.pointee.inputCount > 0, room > 0, !window.pointee.isShut, let input = window.pointee.input else {
      florin_BIO_set_retry_read(bio)
      return -1
    }
    let count = min(Int(room), window.pointee.inputCount)
    UnsafeMutableRawPointer(destination).copyMemory(from: input, byteCount: count)
    window.pointee.input = input + count
    window.pointee.inputCount -= count
    return Int32(count)
  }

  private static let write: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = { bio, source, count in
    guard let window = BIO_get_data(bio)?.assumingMemoryBound(to: BIOWindow.self), let source, count >= 0 else { return -1 }
    florin_BIO_clear_retry_flags(bio)
    // Without "retry": the connection is over, in the middle of whatever OpenSSL was doing.
    if window.pointee.isShut { return -1 }
    let count = Int(count)
    if window.pointee.overflow.isEmpty, let output = window.pointee.output,
      window.pointee.outputCapacity - window.pointee.outputCount >= count
    {
      UnsafeMutableRawPointer(output + window.pointee.outputCount).copyMemory(from: source, byteCount: count)
      window.pointee.outputCount += count
    } else {
      // Once something is here, all that follows must be too, or records would overtake each other.
      window.pointee.overflow.append(contentsOf: UnsafeRawBufferPointer(start: source, count: count))
    }
    return Int32(count)
  }

  private static let control: @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int = { _, command, _, _ in
    command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0
  }

  /// Sees every message; counts the peer's key updates (RFC 8446, 4.6.3: handshake type 24).
  static let messageCallback:
    @convention(c) (
      Int32, Int32, Int32, UnsafeRawPointer?, Int, OpaquePointer?, UnsafeMutableRawPointer?
    ) -> Void = { isWrite, _, contentType, bytes, count, _, argument in
      guard isWrite == 0, contentType == SSL3_RT_HANDSHAKE, count > 0, let bytes, bytes.load(as: UInt8.self) == UInt8(SSL3_MT_KEY_UPDATE),
        let window = argument?.assumingMemoryBound(to: BIOWindow.self)
      else { return }
      window.pointee.keyUpdates += 1
      if window.pointee.keyUpdates > window.pointee.allowedKeyUpdates { window.pointee.isShut = true }
    }
}
