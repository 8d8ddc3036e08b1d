/// Why the authority could not do what it was asked, and what to do about it.
public struct AuthorityError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure, for code that decides.
  public enum Code: String, Sendable, Hashable {
    /// A name, a trust domain or a lifetime that cannot be put into a certificate.
    case invalidRequest
    /// There is no authority in the directory.
    case notInitialized
    /// What is in the directory is not what was made there: missing, damaged, or of another trust domain.
    case damaged
    /// A CA certificate has expired.
    case expired
    /// The file system refused: not writable, no room, wrong owner.
    case fileSystem
    /// OpenSSL refused: it says why in the message.
    case cryptography
  }

  public let code: Code
  public let message: String
  /// One sentence in the imperative.
  public let remedy: String

  package init(_ code: Code, _ message: String, remedy: String) {
    self.code = code
    self.message = message
    self.remedy = remedy
  }

  public var description: String { "\(message). \(remedy)" }
}
