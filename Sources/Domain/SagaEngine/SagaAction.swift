/// What a saga asks of somebody: one forward action or one compensation. The engine knows it by its name alone.
///
/// The name stands in the log for as long as the log is kept: never rename one, add another in a new version of the definition.
public protocol SagaAction: Hashable, Sendable {
  /// `[a-z_]{1,32}`.
  var name: String { get }
}
