/// Counts what is looked at for one invariant, and keeps the first violation.
struct InvariantTally: Sendable {
  let name: String
  let statement: String
  let service: String
  var checked = 0
  private(set) var violations = 0
  private(set) var first: Violation?
  var note: String?
  private var skipped = false

  init(_ name: String, _ statement: String) {
    self.name = name
    self.statement = statement
    service = String(name.prefix { $0 != "." })
  }

  mutating func violated(_ table: String, _ row: String, _ problem: String, service: String? = nil) {
    violations += 1
    if first == nil { first = Violation(service: service ?? self.service, table: table, row: row, problem: problem) }
  }

  mutating func skip(_ why: String) {
    skipped = true
    note = why
  }

  var result: InvariantResult {
    InvariantResult(
      name: name, statement: statement, outcome: violations > 0 ? .failed : skipped ? .skipped : .passed, checked: checked,
      violations: violations, firstViolation: first, note: note)
  }
}
