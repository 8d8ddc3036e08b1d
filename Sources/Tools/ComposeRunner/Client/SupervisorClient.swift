import FoundationEssentials
import Glibc

/// The way to the supervisor of a state directory.
public struct SupervisorClient: Sendable {
  public let directory: StateDirectory

  public init(_ directory: StateDirectory) { self.directory = directory }

  /// What runs. Nil: no supervisor does.
  public func status() throws(RunnerError) -> SupervisorStatus? { try send(ControlRequest(command: .status)) }

  public func start(_ services: [String]) throws(RunnerError) { try command(.start, services) }
  public func stop(_ services: [String]) throws(RunnerError) { try command(.stop, services) }
  public func restart(_ services: [String]) throws(RunnerError) { try command(.restart, services) }

  /// Sends a signal. A service that is ended by it stays down until it is started.
  public func kill(_ services: [String], signal: Signal) throws(RunnerError) {
    var request = ControlRequest(command: .kill, services: services)
    request.signal = String(signal.number)
    guard try send(request) != nil else { throw nothingRuns }
  }

  /// A connection whose end makes the supervisor stop everything. Hold it as long as that shall not be.
  public func attach() throws(RunnerError) -> Attachment {
    guard let descriptor = try ControlSocket.connect(to: directory) else { throw nothingRuns }
    let attachment = Attachment(descriptor: descriptor)
    _ = try Self.exchange(ControlRequest(command: .attach), on: descriptor)
    return attachment
  }

  /// Asks it to stop everything, or, with `force`, to kill everything; does not wait. False: nothing runs.
  @discardableResult
  public func requestDown(force: Bool) throws(RunnerError) -> Bool {
    var request = ControlRequest(command: .down)
    request.force = force
    return try send(request) != nil
  }

  /// The command went nowhere.
  public var nothingRuns: RunnerError {
    RunnerError(.unavailable, "nothing runs in '\(directory.path)': start it with florin up -d --wait, or name another --state-dir")
  }

  private func command(_ command: ControlRequest.Command, _ services: [String]) throws(RunnerError) {
    guard try send(ControlRequest(command: command, services: services)) != nil else { throw nothingRuns }
  }

  private func send(_ request: ControlRequest) throws(RunnerError) -> SupervisorStatus? {
    guard let descriptor = try ControlSocket.connect(to: directory) else { return nil }
    defer { close(descriptor) }
    return try Self.exchange(request, on: descriptor)
  }

  /// - Returns: nil if the supervisor ended instead of answering.
  private static func exchange(_ request: ControlRequest, on descriptor: Int32) throws(RunnerError) -> SupervisorStatus? {
    // A supervisor that hangs must not hang its clients.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard var line = try? ControlCoding.encoder().encode(request) else { throw RunnerError(.bug, "a request cannot be encoded") }
    line.append(0x0a)
    let sent = line.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    guard sent == line.count else { return nil }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while answer.last != 0x0a {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN {
        throw RunnerError(.unavailable, "the supervisor does not answer: florin down --force ends it")
      }
      guard count > 0 else { return nil }
      answer += buffer[..<count]
    }
    guard let reply = try? ControlCoding.decoder().decode(ControlReply.self, from: Data(answer.dropLast())) else {
      throw RunnerError(.unavailable, "the running supervisor is of another version: stop it with the florin that started it")
    }
    if let error = reply.error { throw RunnerError(.usage, error) }
    return reply.status
  }
}

/// Keeps a supervisor that was started for one client running.
public struct Attachment: Sendable {
  fileprivate let descriptor: Int32

  /// To be called once: everything is stopped then, unless it is already.
  public func end() { close(descriptor) }
}
