internal import COpenSSL
internal import Glibc

/// The directory with a process's identity: `cert.pem` (leaf, then intermediates), `key.pem`, `bundle.pem` (trusted roots).
///
/// The directory is opened once and its files through it, so that a directory exchanged meanwhile is read whole, old or
/// new. Nothing is read until `TLSContext.load`; then a file that is missing, a symbolic link, or open to others is
/// refused with a `TLSError` that names it and says what to do.
public struct IdentityFiles: Sendable, Hashable {
  public let directory: String

  /// No certificate or key is anywhere near this large.
  static let largestFileBytes = 256 * 1024

  public init(directory: String) { self.directory = directory }

  /// Checks presence and permissions, and reads nothing of the key's text beyond that.
  public func check() throws(TLSError) { _ = try read() }

  struct Material {
    var certificates: [OwnedCertificate]
    var roots: [OwnedCertificate]
    var key: OwnedKey
  }

  func read() throws(TLSError) -> Material {
    let folder = try openDirectory()
    defer { close(folder) }
    let certificates = try certificates("cert.pem", in: folder)
    let roots = try self.certificates("bundle.pem", in: folder)
    return Material(certificates: certificates, roots: roots, key: try key(in: folder))
  }

  private func openDirectory() throws(TLSError) -> Int32 {
    var status = stat()
    guard lstat(directory, &status) == 0 else {
      throw TLSError(.fileMissing, "The identity directory \(directory) cannot be read (\(reason())): make it with `florin certs init`")
    }
    if status.st_mode & S_IFMT == S_IFLNK {
      throw TLSError(.symbolicLink, "The identity directory \(directory) is a symbolic link: name the directory itself")
    }
    let folder = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard folder >= 0 else { throw TLSError(.fileUnreadable, "The identity directory \(directory) cannot be opened: \(reason())") }
    guard fstat(folder, &status) == 0, status.st_mode & 0o022 == 0 else {
      close(folder)
      throw TLSError(.openToOthers, "Others may write to the identity directory \(directory): chmod 0700 \(directory)")
    }
    return folder
  }

  private func certificates(_ name: String, in folder: Int32) throws(TLSError) -> [OwnedCertificate] {
    let (descriptor, size) = try openFile(name, in: folder)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: size)
    let complete = bytes.withUnsafeMutableBytes { Self.fill($0, from: descriptor) }
    guard complete, let found = OwnedCertificate.all(pem: bytes), !found.isEmpty else {
      throw TLSError(.damaged, "\(directory)/\(name) is not a whole PEM file of certificates: issue it again")
    }
    return found
  }

  private func key(in folder: Int32) throws(TLSError) -> OwnedKey {
    let (descriptor, size) = try openFile("key.pem", in: folder, isSecret: true)
    defer { close(descriptor) }
    let secret = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 1), alignment: 1)
    defer {
      OPENSSL_cleanse(secret.baseAddress, secret.count)
      secret.deallocate()
    }
    let text = UnsafeMutableRawBufferPointer(rebasing: secret[..<size])
    guard Self.fill(text, from: descriptor), let key = OwnedKey(pem: UnsafeRawBufferPointer(text)) else {
      throw TLSError(.damaged, "\(directory)/key.pem is not a private key in PEM without a passphrase: issue it again")
    }
    return key
  }

  private func openFile(_ name: String, in folder: Int32, isSecret: Bool = false) throws(TLSError) -> (descriptor: Int32, size: Int) {
    let path = "\(directory)/\(name)"
    // O_NONBLOCK: a FIFO in the place of a file must not hang the process.
    let descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      switch errno {
      case ENOENT: throw TLSError(.fileMissing, "\(path) is missing: issue it with `florin certs init`")
      case ELOOP: throw TLSError(.symbolicLink, "\(path) is a symbolic link: put the file itself there")
      default: throw TLSError(.fileUnreadable, "\(path) cannot be opened (\(reason())): it must belong to the user who runs this process")
      }
    }
    do throws(TLSError) {
      var status = stat()
      guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.largestFileBytes else {
        throw TLSError(.damaged, "\(path) is not a regular file of at most \(Self.largestFileBytes) bytes: issue it again")
      }
      if isSecret && status.st_mode & 0o077 != 0 {
        throw TLSError(.openToOthers, "Others may read \(path): chmod 0400 \(path), and issue a new key if somebody may have read it")
      }
      if status.st_mode & 0o022 != 0 { throw TLSError(.openToOthers, "Others may write to \(path): chmod 0444 \(path)") }
      let me = geteuid()
      if isSecret && me != 0 && status.st_uid != me && status.st_uid != 0 {
        throw TLSError(.openToOthers, "\(path) belongs to another user (uid \(status.st_uid)): chown it to uid \(me)")
      }
      return (descriptor, Int(status.st_size))
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// True if the file filled the buffer exactly.
  private static func fill(_ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32) -> Bool {
    var done = 0
    while done < buffer.count {
      let count = Glibc.read(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return false }
      done += count
    }
    return true
  }

  private func reason() -> String { String(cString: strerror(errno)) }
}
