/// How to reach one database as one role, and the limits of doing so. Holds no secret: log-in is by client certificate.
public struct PostgresConfiguration: Sendable {
  /// A name or address; a path (first character "/") means the Unix socket in that directory, without TLS.
  public var host: String
  public var port: Int
  public var database: String
  public var user: String
  /// Holds `cert.pem`, `key.pem`, `bundle.pem`. Read at each connect, so new certificates are used from then on.
  /// Nil only with a Unix socket.
  public var identityDirectory: String?
  /// Seen in pg_stat_activity and in the server's log.
  public var applicationName: String

  /// The whole of a connect: address, TCP, TLS, log-in.
  public var connectTimeout: Duration = .seconds(5)
  /// How long sent bytes may stay unacknowledged, and how long a silent peer is probed, before the connection is given up.
  public var tcpUserTimeout: Duration = .seconds(10)
  /// A statement's limit where `Deadline.current` sets no earlier one.
  public var statementTimeout: Duration = .seconds(30)
  /// How long the answer to COMMIT is awaited, whatever the deadline. Past it the outcome is unknown.
  public var commitTimeout: Duration = .seconds(30)
  /// The server ends a session that holds a transaction open and sends nothing for so long.
  public var idleInTransactionTimeout: Duration = .seconds(60)
  /// Settings of the session, e.g. `["plan_cache_mode": "force_generic_plan"]`.
  public var sessionSettings: [String: String] = [:]
  /// Refuse a server that could lose what it acknowledged (see `ServerRequirements`).
  public var requiresDurability = true

  /// Connections at most.
  public var poolSize: Int
  /// The longest that a caller waits for a connection, where its deadline is not earlier.
  public var waitLimit: Duration = .seconds(5)
  /// Callers waiting at most; one more is refused at once.
  public var waitingLimit: Int = 1024
  /// A connection is replaced after this time ±10 %, which also picks up renewed certificates.
  public var connectionLifetime: Duration = .seconds(1800)
  /// An idle connection is asked for a sign of life after this time.
  public var idleCheckInterval: Duration = .seconds(15)
  /// Pauses between failed connects double from `.lowerBound` to `.upperBound`, ±50 %.
  public var reconnectBackoff: ClosedRange<Duration> = .milliseconds(50) ... .seconds(5)

  public init(
    host: String, port: Int, database: String, user: String, identityDirectory: String?, applicationName: String = "florin",
    poolSize: Int = 8
  ) {
    self.host = host
    self.port = port
    self.database = database
    self.user = user
    self.identityDirectory = identityDirectory
    self.applicationName = applicationName
    self.poolSize = poolSize
  }

  /// Keywords of PQconnectStartParams (libpq manual, Parameter Key Words).
  func connectionParameters() throws(PostgresError) -> [(String, String)] {
    var parameters = [
      ("host", host), ("port", String(port)), ("dbname", database), ("user", user), ("application_name", applicationName),
      ("client_encoding", "UTF8"), ("gssencmode", "disable"), ("passfile", "/nonexistent/no-passwords"), ("target_session_attrs", "any"),
      ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
      ("tcp_user_timeout", String(tcpUserTimeout.wholeMilliseconds)), ("options", sessionOptions),
    ]
    if let identityDirectory {
      parameters += [
        ("sslmode", "verify-full"), ("ssl_min_protocol_version", "TLSv1.3"), ("sslcert", identityDirectory + "/cert.pem"),
        ("sslkey", identityDirectory + "/key.pem"), ("sslrootcert", identityDirectory + "/bundle.pem"), ("sslcompression", "0"),
      ]
    } else {
      guard host.hasPrefix("/") else {
        throw PostgresError(.misuse, "no identity directory for \(host): TCP is always mutual TLS; only a Unix socket goes without")
      }
      parameters.append(("sslmode", "disable"))
    }
    return parameters
  }

  private var sessionOptions: String {
    let settings =
      sessionSettings.sorted { $0.key < $1.key } + [
        (key: "statement_timeout", value: String(statementTimeout.wholeMilliseconds)),
        (key: "idle_in_transaction_session_timeout", value: String(idleInTransactionTimeout.wholeMilliseconds)),
        (key: "timezone", value: "UTC"), (key: "datestyle", value: "ISO"), (key: "standard_conforming_strings", value: "on"),
      ]
    // The server splits the options at spaces; a backslash takes the next character as it is (pg_split_opts).
    return settings.map { setting in
      "-c " + setting.key + "="
        + setting.value.map { $0 == " " || $0 == "\\" ? "\\" + String($0) : String($0) }.joined()
    }.joined(separator: " ")
  }
}

extension Duration {
  /// Rounded up, at least 1, at most what PostgreSQL's settings take.
  var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    guard seconds < 2_000_000 else { return 2_000_000_000 }
    return max(1, seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
