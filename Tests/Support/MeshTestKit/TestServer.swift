public import Logging
public import MeshClient
public import MeshProtocol
public import MeshServer
internal import MeshTLS
internal import NIOPosix

/// A mesh server on a free port, with methods that tests make up.
public final class TestServer: Sendable {
  public let server: MeshServer
  public let port: Int
  public let denied: Record<DeniedCall>
  private let task: Task<Void, any Error>

  public static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// - Parameter policy: nil grants every method to payment, ledger and account.
  public init(
    as name: String = "ledger", of authority: TestAuthority? = nil, port: Int = 0, policy: Policy? = nil, methods: [RPCMethod] = [.echo],
    _ change: (inout MeshServerConfiguration) -> Void = { _ in }
  ) async throws {
    let authority = try authority ?? TestAuthority.shared()
    var configuration = MeshServerConfiguration(
      port: port, tls: try authority.context(name, .server),
      policy: try policy ?? Policy.granting(["payment", "ledger", "account"], methods.map(\.descriptor.path)), logger: Self.quiet)
    change(&configuration)
    let denied = Record<DeniedCall>()
    let server = try MeshServer(configuration: configuration, methods: methods) { denied.append($0) }
    let task = Task { try await server.run() }
    guard let bound = await server.listening() else {
      try await task.value
      throw TimedOut(what: "listening")
    }
    (self.server, self.port, self.denied, self.task) = (server, bound, denied, task)
  }

  /// A channel to this server.
  public func channel(
    as name: String = "payment", of authority: TestAuthority? = nil, expecting: String = "ledger",
    _ change: (inout MeshChannelConfiguration) -> Void = { _ in }
  ) throws -> MeshChannel {
    try .test([port], as: name, of: authority, expecting: expecting, change)
  }

  /// Drains, and waits until everything is gone.
  public func stop() async throws {
    server.beginDrain()
    try await task.value
  }

  /// Closes everything at once.
  public func kill() async {
    task.cancel()
    _ = try? await task.value
  }
}

extension MeshChannel {
  /// A channel to servers on this machine.
  public static func test(
    _ ports: [Int], as name: String = "payment", of authority: TestAuthority? = nil, expecting: String = "ledger",
    _ change: (inout MeshChannelConfiguration) -> Void = { _ in }
  ) throws -> MeshChannel {
    let authority = try authority ?? TestAuthority.shared()
    var configuration = MeshChannelConfiguration(
      targets: ports.map { MeshAddress(host: "127.0.0.1", port: $0) }, expectedPeer: authority.identity(expecting),
      tls: try authority.context(name, .client), logger: TestServer.quiet)
    // Machines that run the tests of many suites at once are slow; no test is about this limit unless it sets it.
    configuration.defaultTimeout = .seconds(60)
    change(&configuration)
    return MeshChannel(configuration: configuration)
  }

  /// Calls a method by its path.
  public func call(
    _ path: String = "test.Echo/Say", _ message: [UInt8] = [1, 2, 3], _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> RPCReply {
    try await unary(MethodDescriptor(path: path, idempotency: .unknown), message, options: options)
  }
}

extension RPCMethod {
  /// A method from a closure.
  public static func test(_ path: String, _ handle: @escaping @Sendable ([UInt8], CallContext) async throws -> RPCReply) -> RPCMethod {
    RPCMethod(MethodDescriptor(path: path, idempotency: .unknown), handle: handle)
  }

  /// "test.Echo/Say": answers with what it is told.
  public static let echo = RPCMethod.test("test.Echo/Say") { message, _ in RPCReply(message: message) }
}

extension Policy {
  /// Grants all the methods to all the paths.
  public static func granting(_ paths: [String], _ methods: [String], trustDomain: String = "florin.local") throws(PolicyError) -> Policy {
    var text = "version: 1\ntrust_domain: \(trustDomain)\nrules:\n"
    for path in paths {
      text += "  - identity: \(path)\n    may:\n" + methods.map { "      - \($0)\n" }.joined()
    }
    return try parse(text)
  }
}
