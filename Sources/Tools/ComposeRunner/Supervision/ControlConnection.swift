import Glibc

/// One client of the supervisor's socket: lines in, lines out, both bounded, never blocking.
struct ControlConnection {
  let descriptor: Int32
  /// When it ends, everything is to be stopped.
  var isOwner = false
  private(set) var isFinished = false
  private var input: [UInt8] = []
  private var output: [UInt8] = []

  /// Longer requests are a mistake; answers have no bound but the number of services.
  private static let maximumRequestBytes = 65_536

  init(descriptor: Int32) { self.descriptor = descriptor }

  var pollEvents: Int16 { Int16(POLLIN) | (output.isEmpty ? 0 : Int16(POLLOUT)) }

  /// Reads what is there. Returns the complete lines.
  mutating func receive() -> [[UInt8]] {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count > 0 {
        input += buffer[..<count]
        guard input.count <= Self.maximumRequestBytes else {
          isFinished = true
          return []
        }
        continue
      }
      if count == 0 || (errno != EAGAIN && errno != EINTR) { isFinished = true }
      if count < 0 && errno == EINTR { continue }
      break
    }
    var lines: [[UInt8]] = []
    while let newline = input.firstIndex(of: 0x0a) {
      lines.append(Array(input[..<newline]))
      input.removeSubrange(...newline)
    }
    return lines
  }

  mutating func send(_ line: [UInt8]) {
    output += line
    output.append(0x0a)
    flush()
  }

  mutating func flush() {
    while !output.isEmpty {
      let count = Glibc.send(descriptor, output, output.count, Int32(MSG_NOSIGNAL))
      if count > 0 {
        output.removeFirst(count)
      } else if count < 0 && errno == EINTR {
        continue
      } else {
        if errno != EAGAIN { isFinished = true }
        return
      }
    }
  }
}
