internal import Synchronization
public import Money

/// A process's identity as it is now: the place where a renewed one is swapped in. New connections use `current`; those
/// that are open keep the context they were made with.
public final class TLSIdentity: Sendable {
  /// One reading of the files: a context for each role that was asked for.
  public struct Contexts: Sendable {
    public let client: TLSContext?
    public let server: TLSContext?
    /// Counts from 1; one more with each reading that was taken.
    public let generation: Int
  }

  public let files: IdentityFiles
  private let roles: Set<TLSRole>
  private let clock: any WallClock
  private let state: Mutex<Contexts>

  public init(_ files: IdentityFiles, roles: Set<TLSRole>, clock: any WallClock = SystemWallClock()) throws(TLSError) {
    self.files = files
    self.roles = roles
    self.clock = clock
    state = Mutex(try Self.load(files, roles, clock, generation: 1))
  }

  public var current: Contexts { state.withLock { $0 } }

  /// Reads the files again and, if every check passes, makes them current. On an error what was current stays so.
  @discardableResult
  public func reload() throws(TLSError) -> Contexts {
    let contexts = try Self.load(files, roles, clock, generation: 0)
    return state.withLock { current in
      current = Contexts(client: contexts.client, server: contexts.server, generation: current.generation + 1)
      return current
    }
  }

  private static func load(_ files: IdentityFiles, _ roles: Set<TLSRole>, _ clock: any WallClock, generation: Int) throws(TLSError)
    -> Contexts
  {
    let material = try files.read()
    let client = roles.contains(.client) ? try TLSContext.make(material, from: files, role: .client, clock: clock) : nil
    let server = roles.contains(.server) ? try TLSContext.make(material, from: files, role: .server, clock: clock) : nil
    return Contexts(client: client, server: server, generation: generation)
  }
}
