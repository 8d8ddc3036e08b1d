/// Where spans go and how much may wait for it.
public struct OTLPConfiguration: Sendable, Hashable {
  /// The full URL that is posted to: ".../v1/traces".
  public let url: String
  /// Resource attributes of every span: `service.name`, `service.version` and others.
  public var resource: [String: String]
  /// Spans that wait at most; above that the newest are dropped and counted.
  public var queueLimit: Int
  /// Spans in one request at most.
  public var batchLimit: Int
  /// The longest that a span waits for its batch to fill.
  public var interval: Duration
  /// Limit of one request.
  public var requestTimeout: Duration
  /// Attempts for one batch, the first included; then it is dropped and counted.
  public var attempts: Int
  /// Before the second attempt; doubled before each further one, up to `longestBackoff`, plus up to half of it by chance.
  public var firstBackoff: Duration
  public var longestBackoff: Duration
  /// How long the process waits for the last spans when it shuts down.
  public var flushLimit: Duration

  /// - Parameter endpoint: the collector's base URL ("http://127.0.0.1:4318") or its full URL for traces.
  /// - Throws: `OTLPError.badEndpoint`.
  public init(
    endpoint: String, service: String, version: String, queueLimit: Int = 8192, batchLimit: Int = 512,
    interval: Duration = .seconds(1), requestTimeout: Duration = .seconds(3), attempts: Int = 5,
    firstBackoff: Duration = .milliseconds(500), longestBackoff: Duration = .seconds(5), flushLimit: Duration = .seconds(2)
  ) throws(OTLPError) {
    let hasScheme = endpoint.hasPrefix("http://") || endpoint.hasPrefix("https://")
    let host = endpoint.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: true).dropFirst().first
    guard hasScheme, host?.isEmpty == false, !endpoint.contains("@"), endpoint.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .badEndpoint(endpoint)
    }
    var base = endpoint
    while base.hasSuffix("/") { base.removeLast() }
    url = base.hasSuffix("/v1/traces") ? base : base + "/v1/traces"
    resource = ["service.name": service, "service.version": version, "service.namespace": "florin"]
    self.queueLimit = max(1, queueLimit)
    self.batchLimit = max(1, min(batchLimit, queueLimit))
    self.interval = interval
    self.requestTimeout = requestTimeout
    self.attempts = max(1, attempts)
    self.firstBackoff = firstBackoff
    self.longestBackoff = longestBackoff
    self.flushLimit = flushLimit
  }
}

/// Why there can be no exporter.
public enum OTLPError: Error, Sendable, Hashable, CustomStringConvertible {
  case badEndpoint(String)

  public var description: String {
    switch self {
    case .badEndpoint(let text):
      "'\(text)' is not an OTLP/HTTP endpoint: give a base URL without credentials, such as http://127.0.0.1:4318"
    }
  }
}
