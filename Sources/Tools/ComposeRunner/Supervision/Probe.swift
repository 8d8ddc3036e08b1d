import Glibc

/// One question to a service, asked without blocking: a GET on loopback.
struct HTTPProbe {
  private enum Stage { case connecting, reading }

  let descriptor: Int32
  let deadline: Duration
  private let path: String
  private var stage = Stage.connecting
  private var answer: [UInt8] = []

  /// Begins to connect to 127.0.0.1.
  init(port: Int, path: String, deadline: Duration) throws(RunnerError) {
    self.path = path
    self.deadline = deadline
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw RunnerError(.environment, "no socket: \(systemMessage(errno))") }
    var address = LoopbackPort.address(port)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    if result != 0, errno != EINPROGRESS {
      let reason = systemMessage(errno)
      close(descriptor)
      throw RunnerError(.unavailable, reason)
    }
  }

  var pollEvents: Int16 { Int16(stage == .connecting ? POLLOUT : POLLIN) }

  enum Outcome: Equatable {
    case unfinished
    /// It answered 200.
    case succeeded
    case failed(String)
  }

  /// To be called when the descriptor is ready.
  mutating func becameReady() -> Outcome {
    switch stage {
    case .connecting:
      var error: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
      guard error == 0 else { return .failed(systemMessage(error)) }
      let request = Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
      guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
        return .failed(systemMessage(errno))
      }
      stage = .reading
      return .unfinished
    case .reading:
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0 { return errno == EAGAIN || errno == EINTR ? .unfinished : .failed(systemMessage(errno)) }
      answer += buffer[..<count]
      // An endless answer is no healthier than none.
      guard count == 0 || answer.count > 16_384 else { return .unfinished }
      return verdict.map(Outcome.failed) ?? .succeeded
    }
  }

  /// Nil: the answer was 200.
  private var verdict: String? {
    let text = String(decoding: answer, as: UTF8.self)
    let parts = text.split(separator: " ", maxSplits: 2)
    guard parts.count >= 2, parts[0].hasPrefix("HTTP/1.") else { return "no HTTP answer on its ops port" }
    guard parts[1] != "200" else { return nil }
    let body = text.range(of: "\r\n\r\n").map { String(text[$0.upperBound...].prefix(300)) } ?? ""
    return "\(path) answers \(parts[1])" + (body.isEmpty ? "" : ": " + body.split(whereSeparator: \.isNewline).joined(separator: " "))
  }
}
