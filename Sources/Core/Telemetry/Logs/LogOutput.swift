internal import Glibc
internal import Synchronization

/// Where finished log lines go. One call is one whole line, its newline included.
public protocol LogOutput: Sendable {
  func write(_ line: [UInt8])
}

/// Standard error, one line at a time: lines of different tasks never mix.
public final class StandardErrorOutput: LogOutput {
  public static let shared = StandardErrorOutput()

  private let lock = Mutex<Void>(())

  private init() {}

  public func write(_ line: [UInt8]) {
    lock.withLock { _ in
      line.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
          let written = Glibc.write(2, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
          if written > 0 {
            rest = rest.dropFirst(written)
          } else if errno == EAGAIN {
            // Someone made our standard error non-blocking: wait for room rather than lose a line.
            var descriptor = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
            poll(&descriptor, 1, 1000)
          } else if errno != EINTR {
            return  // The reader is gone; there is nowhere left to say so.
          }
        }
      }
    }
  }
}

/// Keeps the newest lines in memory, for tests.
public final class MemoryLogOutput: LogOutput {
  private let state = Mutex<[String]>([])
  private let capacity: Int

  public init(capacity: Int = 10_000) { self.capacity = capacity }

  public func write(_ line: [UInt8]) {
    let text = String(decoding: line.last == 0x0a ? line.dropLast() : line[...], as: UTF8.self)
    state.withLock { lines in
      lines.append(text)
      if lines.count > capacity { lines.removeFirst(lines.count - capacity) }
    }
  }

  /// Oldest first, without their newlines.
  public var lines: [String] { state.withLock { $0 } }
}
