import ProtobufCodec

/// SplitMix64: the same seed always gives the same values.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// The ends of the type more often than chance would have them.
  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
    switch UInt8.random(in: 0..<6, using: &self) {
    case 0: 0
    case 1: 1
    case 2: .min
    case 3: .max
    case 4: Value(truncatingIfNeeded: Int8.random(in: .min ... .max, using: &self))
    default: Value.random(in: .min ... .max, using: &self)
    }
  }

  mutating func text() -> String {
    let scalars = Array("aZ0 \n\u{1}\u{7f}ß€水🏦\u{feff}\u{10ffff}e\u{301}".unicodeScalars)
    var text = String.UnicodeScalarView()
    for _ in 0..<[0, 1, 7, 130].randomElement(using: &self)! { text.append(scalars.randomElement(using: &self)!) }
    return String(text)
  }

  mutating func bytes() -> [UInt8] { (0..<[0, 1, 16, 300].randomElement(using: &self)!).map { _ in integer() } }
  mutating func double() -> Double { real() }
  mutating func float() -> Float { real() }
  private mutating func real<Value: BinaryFloatingPoint>() -> Value {
    [0, 1, -1.5, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, -.infinity].randomElement(using: &self)!
  }
  mutating func list<Value>(_ make: (inout SeededGenerator) -> Value) -> [Value] {
    (0..<[0, 1, 2, 20].randomElement(using: &self)!).map { _ in make(&self) }
  }

  // MARK: Messages

  mutating func colour() -> TestAPI.Colour { TestAPI.Colour(rawValue: [0, 1, 2, 3, 4, -1, -2, .min, .max].randomElement(using: &self)!) }

  mutating func scalars() -> TestAPI.Scalars {
    TestAPI.Scalars(
      doubleValue: double(), floatValue: float(), int32Value: integer(), int64Value: integer(), uint32Value: integer(),
      uint64Value: integer(), sint32Value: integer(), sint64Value: integer(), fixed32Value: integer(), fixed64Value: integer(),
      sfixed32Value: integer(), sfixed64Value: integer(), boolValue: .random(using: &self), stringValue: text(),
      bytesValue: bytes(), colour: colour(), farValue: text())
  }

  mutating func repeateds() -> TestAPI.Repeateds {
    TestAPI.Repeateds(
      doubleValues: list { $0.double() }, floatValues: list { $0.float() }, int32Values: list { $0.integer() },
      int64Values: list { $0.integer() }, uint32Values: list { $0.integer() }, uint64Values: list { $0.integer() },
      sint32Values: list { $0.integer() }, sint64Values: list { $0.integer() }, fixed32Values: list { $0.integer() },
      fixed64Values: list { $0.integer() }, sfixed32Values: list { $0.integer() }, sfixed64Values: list { $0.integer() },
      boolValues: list { .random(using: &$0) }, stringValues: list { $0.text() }, bytesValues: list { $0.bytes() },
      colours: list { $0.colour() }, scalars: list { $0.scalars() })
  }

  mutating func choices() -> TestAPI.Choices {
    let choice: TestAPI.Choices.Choice? =
      switch UInt8.random(in: 0..<8, using: &self) {
      case 0: .number(integer())
      case 1: .text(text())
      case 2: .blob(bytes())
      case 3: .flag(.random(using: &self))
      case 4: .colour(colour())
      case 5: .scalars(scalars())
      case 6: .ratio(double())
      default: nil
      }
    let other: TestAPI.Choices.OtherChoice? = [.small(integer()), .large(text()), nil].randomElement(using: &self)!
    return TestAPI.Choices(after: text(), choice: choice, otherChoice: other)
  }

  mutating func nested() -> TestAPI.Nested {
    let inner = { (generator: inout SeededGenerator) in
      TestAPI.Nested.Inner(innermost: TestAPI.Nested.Inner.Innermost(note: generator.text()), mood: .calm, id: generator.integer())
    }
    return TestAPI.Nested(
      inner: .random(using: &self) ? inner(&self) : nil, inners: list(inner), default: text(), self_: text(),
      in: .random(using: &self), eventID: text(), resourceURL: text())
  }

  mutating func tree(depth: Int = 4) -> TestAPI.Tree {
    var tree = TestAPI.Tree(label: text())
    guard depth > 0 else { return tree }
    if .random(using: &self) { tree.only = self.tree(depth: depth - 1) }
    tree.branches = (0..<Int.random(in: 0..<3, using: &self)).map { _ in self.tree(depth: depth - 1) }
    switch UInt8.random(in: 0..<3, using: &self) {
    case 0: tree.kind = .grafted(self.tree(depth: depth - 1))
    case 1: tree.kind = .forest(TestAPI.Forest(trees: [self.tree(depth: depth - 1)]))
    default: break
    }
    return tree
  }

  /// Keys and values that are not at their defaults: an entry of defaults has more than one encoding.
  mutating func maps() -> TestAPI.Maps {
    TestAPI.Maps(
      counts: list { TestAPI.Maps.CountsEntry(key: "k" + $0.text(), value: $0.integer(Int64.self) | 1) },
      names: list { TestAPI.Maps.NamesEntry(key: $0.integer(Int32.self) | 1, value: "v" + $0.text()) },
      scalars: list { TestAPI.Maps.ScalarsEntry(key: "k" + $0.text(), value: $0.scalars()) },
      colours: list { TestAPI.Maps.ColoursEntry(key: "k" + $0.text(), value: $0.colour()) })
  }
}

/// Prints the seed of a randomized run, so that it can be repeated: FLORIN_TEST_SEED=… swift test.
func seed(for test: String, environment: String?) -> UInt64 {
  let seed = environment.flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
  print("\(test): seed \(seed)")
  return seed
}
