public import Postgres

/// Something that others are to be told.
public struct OutboxEvent: Sendable, Hashable {
  /// What it is about: events of one aggregate are delivered in order.
  public var aggregate: String
  /// "payment.completed".
  public var type: String
  /// A serialized protobuf message.
  public var payload: [UInt8]
  /// W3C trace context of the change.
  public var traceparent: String?

  public init(aggregate: String, type: String, payload: [UInt8], traceparent: String? = nil) {
    self.aggregate = aggregate
    self.type = type
    self.payload = payload
    self.traceparent = traceparent
  }
}

/// Events that leave a service, written in the transaction of the change, so that there is no event without the change and no
/// change without the event.
public enum Outbox {
  /// Use it in the transaction of the change.
  public static func append(_ event: OutboxEvent, in executor: some SQLExecutor) async throws(PostgresError) {
    _ = try await executor.results(of: [statement(event)])
  }

  /// The same as a statement, for a pipeline.
  public static func statement(_ event: OutboxEvent) -> SQLStatement {
    SQLStatement(
      "INSERT INTO outbox (aggregate, type, payload, traceparent) VALUES ($1, $2, $3, $4)",
      [.text(event.aggregate), .text(event.type), .bytes(event.payload), .text(orNull: event.traceparent)])
  }
}
