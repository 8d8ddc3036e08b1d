import Glibc

/// The Unix socket through which a supervisor is asked and told.
enum ControlSocket {
  /// Binds and listens. Only the user can connect: the directory is his alone.
  static func listen(in directory: StateDirectory) throws(RunnerError) -> Int32 {
    try withAddress(directory) { (address, length) throws(RunnerError) in
      unlink(directory.runDirectory + "/" + directory.controlSocketName)
      let descriptor = try make()
      guard bind(descriptor, address, length) == 0, Glibc.listen(descriptor, 16) == 0 else {
        let reason = systemMessage(errno)
        close(descriptor)
        throw RunnerError(.environment, "no socket can be made in '\(directory.runDirectory)' (\(reason)): choose another --state-dir")
      }
      return descriptor
    }
  }

  /// A connected, blocking descriptor; nil if nobody listens.
  static func connect(to directory: StateDirectory) throws(RunnerError) -> Int32? {
    guard access(directory.runDirectory, X_OK) == 0 || errno != EACCES else {
      throw RunnerError(.environment, "'\(directory.runDirectory)' belongs to another user: run florin as that user")
    }
    guard access(directory.runDirectory, F_OK) == 0 else { return nil }
    return try withAddress(directory) { (address, length) throws(RunnerError) -> Int32? in
      let descriptor = try make(blocking: true)
      if Glibc.connect(descriptor, address, length) == 0 { return descriptor }
      let error = errno
      close(descriptor)
      guard error == ENOENT || error == ECONNREFUSED else {
        throw RunnerError(.unavailable, "the supervisor's socket cannot be reached: \(systemMessage(error))")
      }
      return nil
    }
  }

  private static func make(blocking: Bool = false) throws(RunnerError) -> Int32 {
    let flags = Int32(SOCK_CLOEXEC.rawValue) | (blocking ? 0 : Int32(SOCK_NONBLOCK.rawValue))
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
    guard descriptor >= 0 else { throw RunnerError(.environment, "no socket can be made: \(systemMessage(errno))") }
    return descriptor
  }

  /// A socket's path has 107 bytes at most, a state directory may be deeper: so it is named through a descriptor of its directory.
  private static func withAddress<R>(
    _ directory: StateDirectory, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(RunnerError) -> R
  ) throws(RunnerError) -> R {
    let parent = open(directory.runDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard parent >= 0 else {
      throw RunnerError(.environment, "'\(directory.runDirectory)' cannot be opened (\(systemMessage(errno))): choose another --state-dir")
    }
    defer { close(parent) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = "/proc/self/fd/\(parent)/\(directory.controlSocketName)"
    withUnsafeMutableBytes(of: &address.sun_path) { buffer in
      for (index, byte) in path.utf8.enumerated() { buffer[index] = byte }
    }
    var result: Result<R, RunnerError>?
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        do throws(RunnerError) {
          result = .success(try body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size)))
        } catch {
          result = .failure(error)
        }
      }
    }
    guard let result else { preconditionFailure("the body has run") }
    return try result.get()
  }
}
