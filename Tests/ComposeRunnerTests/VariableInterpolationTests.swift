import Testing

@testable import ComposeRunner

@Suite struct VariableInterpolationTests {
  private let variables = ["SET": "value", "EMPTY": "", "OTHER": "7"]

  private func expand(_ text: String) throws -> String {
    var interpolation = VariableInterpolation(variables: variables)
    return try interpolation.expand(text)
  }

  @Test(
    "every form of the specification gives what the specification says",
    arguments: [
      ("plain", "plain"), ("$SET", "value"), ("${SET}", "value"), ("a$SET-b", "avalue-b"), ("$$SET", "$SET"), ("$${SET}", "${SET}"),
      ("${MISSING:-default}", "default"), ("${EMPTY:-default}", "default"), ("${EMPTY-default}", ""), ("${MISSING-default}", "default"),
      ("${SET:-default}", "value"), ("${SET:+instead}", "instead"), ("${EMPTY:+instead}", ""), ("${EMPTY+instead}", "instead"),
      ("${MISSING+instead}", ""), ("${SET:?must be}", "value"), ("${EMPTY?must be}", ""), ("${MISSING:-${OTHER}}", "7"),
      ("${MISSING:-${ALSO:-deep}}", "deep"), ("${MISSING}", ""), ("${MISSING:-}", ""), ("${A:-}${B:-x}", "x"), ("1${OTHER}3", "173"),
    ])
  func expands(text: String, expected: String) throws {
    #expect(try expand(text) == expected)
  }

  @Test(
    "text that means nothing is refused, not passed on",
    arguments: [
      "$", "a$ b", "${", "${SET", "${}", "${1A}", "${SET:}", "${SET!x}", "${MISSING:?must be set}", "${EMPTY:?must be set}", "${MISSING?}",
    ])
  func refuses(text: String) {
    #expect(throws: VariableInterpolation.Failure.self) { try expand(text) }
  }

  @Test("a variable counts as unset only where its value would have been used")
  func reportsUnset() throws {
    var interpolation = VariableInterpolation(variables: variables)
    _ = try interpolation.expand("${SET:-$UNUSED} ${MISSING} ${ALSO:-x}")
    #expect(interpolation.unset == ["MISSING"])
  }
}
