import FoundationEssentials
import Glibc

/// TCP ports of 127.0.0.1.
enum LoopbackPort {
  static func address(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
    address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
    return address
  }

  /// Nil if the port can be listened on; otherwise why not.
  static func obstacle(_ port: Int) -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    var yes: Int32 = 1
    // As servers do: connections of the last run that linger in TIME_WAIT are no obstacle.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = Self.address(port)
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard bound == 0 else { return errno }
    return listen(descriptor, 1) == 0 ? nil : errno
  }

  /// "postgres (pid 812)" or "pid 812": who listens on the port, if this user may know.
  static func holder(_ port: Int) -> String? {
    guard let inode = listeningInode(port) else { return nil }
    let wanted = "socket:[\(inode)]"
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let pid = Int32(entry), let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd") else { continue }
      for name in names where (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(name)")) == wanted {
        let command = FileManager.default.contents(atPath: "/proc/\(pid)/comm")
          .map { String(decoding: $0, as: UTF8.self).filter { !$0.isNewline } }
        return command.map { "\($0) (pid \(pid))" } ?? "pid \(pid)"
      }
    }
    return nil
  }

  private static func listeningInode(_ port: Int) -> Substring? {
    let hex = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - hex.count) + hex
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      guard let data = FileManager.default.contents(atPath: table) else { continue }
      for line in String(decoding: data, as: UTF8.self).split(separator: "\n").dropFirst() {
        let fields = line.split(separator: " ")
        // Local address, state 0A (LISTEN), inode: proc(5).
        if fields.count > 9, fields[1].hasSuffix(suffix), fields[3] == "0A" { return fields[9] }
      }
    }
    return nil
  }
}
