/// Why a private PostgreSQL cluster could not be made, started or asked, and what to do about it.
public struct ClusterError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: String, Sendable, Hashable {
    /// PostgreSQL is not installed, or too old.
    case missingPostgreSQL
    /// Root runs us, and there is no unprivileged user to run PostgreSQL as.
    case noUnprivilegedUser
    /// The directory cannot be made, written, or trusted.
    case fileSystem
    /// One of PostgreSQL's programs failed: its words are in the message.
    case toolFailed
    /// The server ended while it started, or did not become ready, or did not stop in time.
    case serverFailed
    /// The server's certificate, key or trust bundle is missing.
    case noIdentity
  }

  public let code: Code
  public let message: String
  /// One sentence in the imperative.
  public let remedy: String

  public init(_ code: Code, _ message: String, remedy: String) {
    self.code = code
    self.message = message
    self.remedy = remedy
  }

  public var description: String { "\(message). \(remedy)" }
}
