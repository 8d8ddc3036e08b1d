/// A value that must not be seen: personal data, or a secret. Whatever prints, interpolates, mirrors or encodes it gets
/// "[redacted]"; only code that asks by name gets the value.
///
/// Redaction is by type, so that forgetting it is a type error rather than a leak: a log line, an error or a span attribute
/// that is given one of these can't show what is inside.
public struct Sensitive<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable,
  Encodable
{
  private let value: Value

  public init(_ value: Value) { self.value = value }

  /// The value itself. Reading it is a decision; it is named so that one can search for it.
  public func exposed() -> Value { value }

  public var description: String { redactionMark }
  public var debugDescription: String { redactionMark }
  /// Without children: `dump` and reflection see nothing either.
  public var customMirror: Mirror { Mirror(self, children: [:], displayStyle: .struct) }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(redactionMark)
  }
}

extension Sensitive: Equatable where Value: Equatable {}
extension Sensitive: Hashable where Value: Hashable {}

/// What stands in place of a sensitive value.
public let redactionMark = "[redacted]"
