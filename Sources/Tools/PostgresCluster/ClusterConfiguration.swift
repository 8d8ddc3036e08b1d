/// The texts of the server's configuration files (PostgreSQL manual, Server Configuration and Client Authentication).
struct ClusterConfiguration {
  var port: Int
  var socketDirectory: String
  var identity: String
  var databases: [String]
  /// Databases that are made later, under names not known yet, may be logged in to as well. For tests.
  var acceptsOtherDatabases: Bool
  /// Override the ones below. For tests of what Florin refuses.
  var settings: [String: String]

  var serverSettings: String {
    var values = Self.defaults
    values["port"] = String(port)
    values["unix_socket_directories"] = socketDirectory
    values["ssl_cert_file"] = identity + "/cert.pem"
    values["ssl_key_file"] = identity + "/key.pem"
    values["ssl_ca_file"] = identity + "/bundle.pem"
    values.merge(settings) { _, override in override }
    return "# Written by Florin at each start.\n"
      + values.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value.replacing("'", with: "''"))'\n" }.joined()
  }

  private static let defaults = [
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.3",
    // What Florin requires of a server (see Postgres/ServerRequirements).
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "5min",
    "checkpoint_completion_target": "0.9",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
    "client_connection_check_interval": "2s",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_min_duration_statement": "2s",
    "log_lock_waits": "on",
    // Values of parameters may be personal data: they stay out of the log.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "password_encryption": "scram-sha-256",
    "cluster_name": "florin",
  ]

  /// Who may log in, and how: by certificate over TLS, or, as the bootstrap superuser, as the operating system's user who owns
  /// the cluster (or root) over the Unix socket. No password, no trust; what is not listed is refused.
  var hostBasedAuthentication: String {
    var lines = [
      "# Written by Florin at each start.  TYPE DATABASE USER ADDRESS METHOD",
      "local all postgres peer map=bootstrap",
    ]
    func certificate(_ database: String, _ role: String) {
      lines.append("hostssl \(Self.quoted(database)) \(Self.quoted(role)) 127.0.0.1/32 cert clientcert=verify-full map=florin")
    }
    for database in databases {
      for role in ["\(database)_service", "migrator", "auditor"] { certificate(database, role) }
    }
    if acceptsOtherDatabases {
      for database in databases { lines.append("host \(Self.quoted(database)) all all reject") }
      for role in databases.map({ "\($0)_service" }) + ["migrator", "auditor"] {
        lines.append("hostssl all \(Self.quoted(role)) 127.0.0.1/32 cert clientcert=verify-full map=florin")
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// Common names of certificates to roles, and users of the operating system to the bootstrap superuser.
  func userNameMap(bootstrapUsers: [String]) -> String {
    var lines = ["# Written by Florin at each start.  MAPNAME SYSTEM-USERNAME PG-USERNAME"]
    for user in bootstrapUsers { lines.append("bootstrap \(Self.quoted(user)) postgres") }
    for database in databases { lines.append("florin \(Self.quoted(database)) \(Self.quoted(database + "_service"))") }
    for name in ["migrator", "auditor"] { lines.append("florin \(name) \(name)") }
    return lines.map { $0 + "\n" }.joined()
  }

  /// Quoting takes away the special meaning of words such as `all`.
  private static func quoted(_ name: String) -> String { "\"\(name)\"" }
}
