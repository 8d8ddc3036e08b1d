internal import COpenSSL
public import MeshProtocol

/// One TLS connection as a function of bytes: ciphertext in, plaintext out, and back. No sockets, no threads, no timers.
///
/// ```
/// let engine = try TLSEngine(context: context, expecting: ledger)
/// try engine.start(outbound: &toSend)                                         // a client's first bytes
/// let events = try bytes.withUnsafeReadableBytes { raw throws(TLSError) in     // whatever the socket gave
///   try engine.receive(raw, plaintext: &plain, outbound: &toSend)
/// }
/// if events.contains(.established) { … engine.peer … }
/// try plain.withUnsafeReadableBytes { raw throws(TLSError) in try engine.encrypt(raw, outbound: &toSend) }
/// engine.close(outbound: &toSend)                                              // close_notify
/// ```
/// Send what is in `outbound` after *every* call, one that throws included: the alert is in it. A call that throws ends
/// the connection; later calls throw the same error. Pointers handed in are used during the call only.
///
/// Not `Sendable`: an engine belongs to one event loop.
public final class TLSEngine {
  public enum State: Sendable, Hashable {
    case handshaking
    /// The peer is known and accepted; application data may go both ways. A client gets here before the server has
    /// judged the client's certificate: a refusal arrives as an alert with the server's next bytes.
    case established
    /// `close` was called.
    case closed
    case failed(TLSError)
  }

  /// What happened during one call of `receive`.
  public struct Events: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The handshake finished in this call.
    public static let established = Events(rawValue: 1)
    /// The peer sent close_notify: no more plaintext will come.
    public static let peerClosed = Events(rawValue: 2)
  }

  public private(set) var state: State = .handshaking
  /// Nil until the connection is established.
  public private(set) var peer: TLSPeer?
  /// The peer sent close_notify.
  public private(set) var isPeerClosed = false

  private let context: TLSContext
  private let verifier: PeerVerifier
  private let ssl: OpaquePointer
  /// On the heap, because OpenSSL's BIO keeps its address.
  private let window: UnsafeMutablePointer<BIOWindow>
  private var recordsSinceKeyUpdate = 0
  private let recordsPerKey: Int

  /// A key is replaced long before the 2^24.5 records that RFC 8446, 5.5 allows AES-GCM.
  package static let defaultRecordsPerKey = 1 << 22
  /// The most plaintext in one record (RFC 8446, 5.1), and what TLS adds to it: header, content type, tag.
  private static let recordBytes = 16_384
  private static let recordOverheadBytes = 5 + 1 + 16

  /// - Parameter expecting: whom a client means to talk to. Nil: anyone of our trust domain.
  public convenience init(context: TLSContext, expecting: SPIFFEID? = nil) throws(TLSError) {
    try self.init(context: context, expecting: expecting, recordsPerKey: Self.defaultRecordsPerKey)
  }

  package init(context: TLSContext, expecting: SPIFFEID?, recordsPerKey: Int) throws(TLSError) {
    ERR_clear_error()
    guard let ssl = SSL_new(context.raw) else { throw OpenSSLFailure.error("A TLS connection could not be made") }
    let window = UnsafeMutablePointer<BIOWindow>.allocate(capacity: 1)
    window.initialize(to: BIOWindow())
    guard let bio = WindowBIO.make(over: window) else {
      SSL_free(ssl)
      window.deinitialize(count: 1)
      window.deallocate()
      throw OpenSSLFailure.error("A TLS connection could not be made")
    }
    SSL_set_bio(ssl, bio, bio)
    self.context = context
    self.ssl = ssl
    self.window = window
    self.recordsPerKey = recordsPerKey
    verifier = PeerVerifier(peerRole: context.role.opposite, trustDomain: context.identity.trustDomain, expected: expecting)
    // Unretained is safe: the verifier and the window are ours, and `deinit` frees the SSL first.
    florin_SSL_set_app_data(ssl, Unmanaged.passUnretained(verifier).toOpaque())
    SSL_set_msg_callback(ssl, WindowBIO.messageCallback)
    florin_SSL_set_msg_callback_arg(ssl, window)
    X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), time_t(context.clock.now.microseconds / 1_000_000))
    switch context.role {
    case .client: SSL_set_connect_state(ssl)
    case .server: SSL_set_accept_state(ssl)
    }
  }

  deinit {
    SSL_free(ssl)  // and with it the BIO over the window
    window.deinitialize(count: 1)
    window.deallocate()
  }

  /// "TLS_AES_128_GCM_SHA256"; nil before the handshake chose one.
  public var cipherSuite: String? { SSL_get_current_cipher(ssl).flatMap { SSL_CIPHER_get_name($0) }.map { String(cString: $0) } }

  package var keyUpdatesReceived: UInt64 { window.pointee.keyUpdates }

  /// Makes a client's first bytes. At a server it makes none.
  public func start(outbound: inout some TLSByteSink) throws(TLSError) {
    var nothing: [UInt8] = []
    _ = try receive(UnsafeRawBufferPointer(start: nil, count: 0), plaintext: &nothing, outbound: &outbound)
  }

  /// Takes bytes of the peer, in pieces of any size. Appends to `plaintext` what they hold, and to `outbound` what has to
  /// be answered. What came before an error in the same call is in `plaintext`; after an error throw it away.
  @discardableResult
  public func receive(
    _ ciphertext: UnsafeRawBufferPointer, plaintext: inout some TLSByteSink, outbound: inout some TLSByteSink
  ) throws(TLSError) -> Events {
    switch state {
    case .failed(let error): throw error
    case .closed: return []
    case .handshaking, .established: break
    }
    window.pointee.input = ciphertext.baseAddress?.assumingMemoryBound(to: UInt8.self)
    window.pointee.inputCount = ciphertext.count
    window.pointee.received += UInt64(ciphertext.count)
    defer {
      window.pointee.input = nil
      window.pointee.inputCount = 0
    }
    ERR_clear_error()
    var events: Events = []
    do throws(TLSError) {
      if state == .handshaking {
        if try !handshake() {
          drainOverflow(to: &outbound)
          return []
        }
        events.insert(.established)
      }
      if !isPeerClosed, try readRecords(into: &plaintext) { events.insert(.peerClosed) }
    } catch {
      drainOverflow(to: &outbound)
      state = .failed(error)
      peer = nil
      throw error
    }
    drainOverflow(to: &outbound)
    return events
  }

  /// Encrypts all of `plaintext`, in records of at most 16 KiB.
  public func encrypt(_ plaintext: UnsafeRawBufferPointer, outbound: inout some TLSByteSink) throws(TLSError) {
    switch state {
    case .established: break
    case .failed(let error): throw error
    case .handshaking: throw TLSError(.notEstablished, "Plaintext was offered before the handshake was done")
    case .closed: throw TLSError(.notEstablished, "Plaintext was offered after close")
    }
    guard !plaintext.isEmpty else { return }
    ERR_clear_error()
    try updateKeyIfDue(after: plaintext.count)
    let records = (plaintext.count + Self.recordBytes - 1) / Self.recordBytes
    var failure: TLSError?
    outbound.append(capacity: plaintext.count + records * Self.recordOverheadBytes) { room in
      window.pointee.output = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      window.pointee.outputCapacity = room.count
      window.pointee.outputCount = 0
      var rest = plaintext
      while !rest.isEmpty {
        let written = SSL_write(ssl, rest.baseAddress, Int32(clamping: min(rest.count, 1 << 30)))
        guard written > 0 else {
          failure = connectionFailure(written)
          break
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[Int(written)...])
      }
      let count = window.pointee.outputCount
      window.pointee.output = nil
      window.pointee.outputCapacity = 0
      window.pointee.outputCount = 0
      return count
    }
    drainOverflow(to: &outbound)
    if let failure {
      state = .failed(failure)
      throw failure
    }
  }

  /// Says close_notify, if there is a connection to close. Nothing can be encrypted or received after this.
  public func close(outbound: inout some TLSByteSink) {
    if case .failed = state { return }
    if state == .established {
      ERR_clear_error()
      // One direction is enough: the socket is closed after these bytes, and no more is read.
      SSL_shutdown(ssl)
      drainOverflow(to: &outbound)
    }
    state = .closed
  }

  /// The socket has ended. Throws unless the peer had said so before, by close_notify (RFC 8446, 6.1).
  public func endOfInput() throws(TLSError) {
    switch state {
    case .failed(let error): throw error
    case .closed: return
    case .established where isPeerClosed: return
    case .handshaking, .established:
      let when = state == .handshaking ? "during the handshake" : "without close_notify"
      let error = TLSError(.truncated, "The peer ended the connection \(when)")
      state = .failed(error)
      peer = nil
      throw error
    }
  }

  // MARK: - Steps

  /// True when the handshake is done.
  private func handshake() throws(TLSError) -> Bool {
    let result = SSL_do_handshake(ssl)
    guard result == 1 else {
      if SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ { return false }
      let said = OpenSSLFailure.drain()
      throw verifier.refusal ?? said.tlsError
    }
    // All of this was checked inside the handshake. Should OpenSSL ever skip the callbacks, the connection fails closed.
    guard let accepted = verifier.accepted, verifier.refusal == nil, SSL_get_verify_result(ssl) == Int(X509_V_OK),
      SSL_session_reused(ssl) == 0
    else { throw verifier.refusal ?? TLSError(.noCertificate, "The handshake ended without a checked certificate") }
    guard ApplicationProtocol.isAgreed(ssl) else { throw TLSError(.alpn, "The peer did not agree on \(TLSContext.applicationProtocol)") }
    peer = accepted
    state = .established
    return true
  }

  /// True if the peer said close_notify.
  private func readRecords(into plaintext: inout some TLSByteSink) throws(TLSError) -> Bool {
    while window.pointee.inputCount > 0 || SSL_has_pending(ssl) == 1 {
      var result: Int32 = 0
      // Whatever is in a record beyond this room stays in OpenSSL for the next round.
      let room = max(min(window.pointee.inputCount, Self.recordBytes), Int(SSL_pending(ssl)), 64)
      plaintext.append(capacity: room) { room in
        result = SSL_read(ssl, room.baseAddress, Int32(clamping: min(room.count, 1 << 30)))
        return max(0, Int(result))
      }
      if window.pointee.isShut { throw TLSError(.keyUpdateFlood, "The peer updated its keys \(window.pointee.keyUpdates) times") }
      if result > 0 { continue }
      switch SSL_get_error(ssl, result) {
      case SSL_ERROR_WANT_READ: return false
      case SSL_ERROR_ZERO_RETURN:
        isPeerClosed = true
        return true
      default: throw connectionFailure(result)
      }
    }
    return false
  }

  /// RFC 8446, 4.6.3: the peer follows, and need not change its own key.
  private func updateKeyIfDue(after plaintextBytes: Int) throws(TLSError) {
    recordsSinceKeyUpdate += 1 + plaintextBytes / Self.recordBytes
    guard recordsSinceKeyUpdate >= recordsPerKey else { return }
    recordsSinceKeyUpdate = 0
    guard SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 else { throw OpenSSLFailure.error("The key could not be replaced") }
  }

  private func connectionFailure(_ result: Int32) -> TLSError {
    let code = SSL_get_error(ssl, result)
    let said = OpenSSLFailure.drain()
    return verifier.refusal
      ?? (code == SSL_ERROR_SSL ? said.tlsError : TLSError(.other("OpenSSL code \(code)"), "OpenSSL: code \(code), \(said.text)"))
  }

  private func drainOverflow(to outbound: inout some TLSByteSink) {
    guard !window.pointee.overflow.isEmpty else { return }
    let bytes = window.pointee.overflow
    window.pointee.overflow = []
    outbound.append(capacity: bytes.count) { room in
      room.copyBytes(from: bytes)
      return bytes.count
    }
  }
}
