import Glibc

/// A private PostgreSQL cluster: one server on the loopback interface, log-in by certificate only, the databases and roles of
/// the mesh. Made, configured, provisioned, started and stopped; everything may be repeated.
///
/// All methods block the calling thread. Two calls at a time for one directory are the caller's mistake.
public struct PostgresCluster: Sendable {
  /// Where it was asked for, absolute. See also `dataDirectory`.
  public let directory: String
  public let port: Int
  /// Each has a database, a schema, an owner role and a service role of its name.
  public let databases: [String]
  /// Holds the server's `cert.pem`, `key.pem`, `bundle.pem`; they are copied.
  public let serverIdentity: String
  /// Whom the server runs as.
  public let user: ClusterUser
  let installation: PostgresInstallation
  let layout: ClusterLayout
  private let configuration: ClusterConfiguration

  public static let standardDatabases = ["account", "ledger", "payment", "notification"]

  /// Looks for PostgreSQL, and decides whom it runs as and where. Writes nothing.
  /// - Parameters:
  ///   - acceptsOtherDatabases: log-ins to databases made later by `createDatabase` are let through. For tests.
  ///   - settings: of postgresql.conf, instead of ours. For tests.
  /// - Throws: `ClusterError` `.missingPostgreSQL`, `.noUnprivilegedUser`, `.fileSystem`.
  public init(
    directory: String, port: Int, serverIdentity: String, databases: [String] = standardDatabases, acceptsOtherDatabases: Bool = false,
    settings: [String: String] = [:]
  ) throws(ClusterError) {
    user = try ClusterUser.forThisProcess()
    layout = try ClusterLayout.resolve(directory, user: user)
    self.directory = layout.directory
    self.port = port
    self.databases = databases
    self.serverIdentity = serverIdentity
    let version = Files.text(layout.data + "/PG_VERSION").flatMap { Int($0.trimmingEnd) }
    installation = try PostgresInstallation.find(majorVersion: version)
    configuration = ClusterConfiguration(
      port: port, socketDirectory: layout.socketDirectory, identity: layout.identity, databases: databases,
      acceptsOtherDatabases: acceptsOtherDatabases, settings: settings)
  }

  /// PGDATA. Not always below `directory`: see `ClusterLayout`.
  public var dataDirectory: String { layout.data }
  /// Where the bootstrap superuser `postgres` logs in, as the user who owns the cluster, or as root.
  public var socketDirectory: String { layout.socketDirectory }
  /// What the server says, if `start()` started it.
  public var logFile: String { layout.log }
  /// True once `initialize` has succeeded here.
  public var isInitialized: Bool { Files.exists(layout.data + "/PG_VERSION") }

  // MARK: Making

  /// Makes the data directory if there is none, and writes the configuration and the server's identity anew.
  /// - Parameter checksums: false only to test that Florin refuses such a server.
  public func initialize(checksums: Bool = true) throws(ClusterError) {
    try layout.create(user: user)
    if !isInitialized {
      // What an interrupted initdb left behind is of no use.
      for name in Files.list(layout.data) { try Files.removeTree("\(layout.data)/\(name)") }
      var arguments = [
        "--pgdata=\(layout.data)", "--username=postgres", "--encoding=UTF8", "--locale=C", "--auth-local=peer", "--auth-host=reject",
        "--no-instructions",
      ]
      if checksums { arguments.append("--data-checksums") }
      try ToolProcess(executable: installation.program("initdb"), arguments: arguments).becoming(user).run(within: 300)
    }
    try configure()
  }

  /// Writes the configuration and copies the identity. A running server takes them at `reload()`.
  public func configure() throws(ClusterError) {
    for (file, mode) in [("cert.pem", 0o644), ("bundle.pem", 0o644), ("key.pem", 0o400)] as [(String, mode_t)] {
      guard let bytes = Files.read("\(serverIdentity)/\(file)") else {
        throw ClusterError(
          .noIdentity, "\(serverIdentity)/\(file) is missing or cannot be read", remedy: "Make the certificates: florin certs init.")
      }
      try Files.write("\(layout.identity)/\(file)", bytes, mode: mode, owner: user)
    }
    // Root, who is let in everywhere anyway, and the user who owns the files.
    let bootstrapUsers = user.isSomeoneElse ? ["root", user.name] : [user.name]
    let texts = [
      ("postgresql.conf", configuration.serverSettings), ("pg_hba.conf", configuration.hostBasedAuthentication),
      ("pg_ident.conf", configuration.userNameMap(bootstrapUsers: bootstrapUsers)),
    ]
    for (file, text) in texts { try Files.write("\(layout.data)/\(file)", Array(text.utf8), mode: 0o600, owner: user) }
  }

  /// Removes everything, the data too. The server must not be running.
  public func destroy() throws(ClusterError) {
    guard postmasterPID == nil else {
      throw ClusterError(.serverFailed, "PostgreSQL still runs in \(layout.data)", remedy: "Stop it first.")
    }
    try Files.removeTree(layout.socketDirectory)
    try Files.removeTree(layout.base)
    try Files.removeTree(layout.directory)
  }

  // MARK: Provisioning

  /// Makes the roles and the databases that are missing, and sets their rights. The server must be ready.
  public func provision() throws(ClusterError) {
    try psql(ProvisioningScript.commonRoles)
    for name in databases {
      try psql(ProvisioningScript.serviceRoles, ["service": name])
      try createDatabase(name, service: name)
    }
  }

  /// Makes one more database for the roles of `service`, if it is missing. `template`: a database that nobody is connected to.
  public func createDatabase(_ name: String, service: String, template: String? = nil) throws(ClusterError) {
    try psql(ProvisioningScript.database, ["service": service, "database": name, "template": template ?? "template0"])
    if template == nil { try psql(ProvisioningScript.insideDatabase, database: name) }
  }

  /// Ends all sessions in it.
  public func dropDatabase(_ name: String) throws(ClusterError) {
    try psql(ProvisioningScript.dropDatabase, ["database": name])
  }

  /// Runs a script of psql as the bootstrap superuser and returns what it prints: unaligned, tuples only.
  /// `variables` are for `:'name'` and `:"name"`.
  @discardableResult
  public func psql(_ script: String, _ variables: [String: String] = [:], database: String = "postgres") throws(ClusterError) -> String {
    var arguments = ["--no-psqlrc", "--quiet", "--no-password", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"]
    arguments += ["--host=\(layout.socketDirectory)", "--port=\(port)", "--username=postgres", "--dbname=\(database)"]
    arguments += variables.sorted { $0.key < $1.key }.map { "--set=\($0.key)=\($0.value)" }
    return try ToolProcess(executable: installation.program("psql"), arguments: arguments).run(input: script, within: 60).output
  }
}
