/// Holds a field whose message can contain itself, which a struct cannot store in line.
package indirect enum ProtobufIndirect<Value: Sendable & Hashable>: Sendable, Hashable {
  case none
  case some(Value)

  package init(_ value: Value?) { self = value.map { .some($0) } ?? .none }

  package var value: Value? {
    switch self {
    case .none: nil
    case .some(let value): value
    }
  }
}
