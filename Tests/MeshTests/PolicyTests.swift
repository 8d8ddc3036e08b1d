import MeshProtocol
import MeshServer
import MeshTestKit
import Testing

@Suite("The policy file", .serialized)
struct PolicyTests {
  private func id(_ path: String) -> SPIFFEID { SPIFFEID(trustDomain: "florin.local", path: path) }

  @Test("exact identities, everyone right below a path, nobody else, no other trust domain")
  func subjects() throws {
    let policy = try Policy.parse(
      """
      version: 1
      trust_domain: florin.local
      rules:
        - identity: payment
          may: [a.B/C]
        - identity: operator/*
          may: [a.B/D]
        - identity: operator/admin
          may: [a.B/E]
      """)
    #expect(policy.allows(id("payment"), "a.B/C"))
    #expect(!policy.allows(id("payment"), "a.B/D"))
    #expect(!policy.allows(id("payment"), "a.B/c"))
    #expect(!policy.allows(id("payment"), "a.B/C "))
    #expect(!policy.allows(id("payments"), "a.B/C"))
    #expect(!policy.allows(id("payment/x"), "a.B/C"))
    #expect(!policy.allows(SPIFFEID(trustDomain: "elsewhere", path: "payment"), "a.B/C"))
    #expect(policy.allows(id("operator/alice"), "a.B/D"))
    #expect(policy.allows(id("operator/admin"), "a.B/D"))
    #expect(policy.allows(id("operator/admin"), "a.B/E"))
    #expect(!policy.allows(id("operator/alice"), "a.B/E"))
    #expect(!policy.allows(id("operator"), "a.B/D"))
    #expect(!policy.allows(id("operator/alice/x"), "a.B/D"))
    #expect(!policy.allows(id("operators/alice"), "a.B/D"))
    #expect(!Policy.denyAll.allows(id("payment"), "a.B/C"))
  }

  @Test("what is wrong is said with its line")
  func errors() {
    func at(_ yaml: String, known: [String]? = nil) -> (PolicyError.Code, Int?)? {
      do throws(PolicyError) {
        _ = try Policy.parse(yaml, knownMethods: known)
        return nil
      } catch { return (error.code, error.line) }
    }
    let head = "version: 1\ntrust_domain: florin.local\nrules:\n"
    let cases: [(String, PolicyError.Code, Int?)] = [
      ("", .missingKey, nil),
      ("- a", .wrongType, 1),
      ("version: 1\nrules: []", .missingKey, 1),
      ("version: 2\ntrust_domain: a\nrules: []", .unsupportedVersion, 1),
      ("version: 1\ntrust_domain: A B\nrules: []", .malformedTrustDomain, 2),
      ("version: 1\ntrust_domain: a\nrule: []", .unknownKey, 3),
      ("version: 1\ntrust_domain: a\nrules: x", .wrongType, 3),
      (head + "  - identity: payment\n    may: [a.B/C]\n    may_not: []", .unknownKey, 6),
      (head + "  - identity: payment", .missingKey, 4),
      (head + "  - identity: /payment\n    may: []", .malformedIdentity, 4),
      (head + "  - identity: '*'\n    may: []", .malformedIdentity, 4),
      (head + "  - identity: a/*/b\n    may: []", .malformedIdentity, 4),
      (head + "  - identity: spiffe://florin.local/a\n    may: []", .malformedIdentity, 4),
      (head + "  - identity: a\n    may: []\n  - identity: a\n    may: []", .duplicateIdentity, 6),
      (head + "  - identity: a\n    may:\n      - a.B/C\n      - a.B", .malformedMethod, 7),
      (head + "  - identity: a\n    may:\n      - a.B/*", .malformedMethod, 6),
      (head + "  - identity: a\n    may:\n      - /a.B/C", .malformedMethod, 6),
      (head + "  - identity: a\n    may:\n      - a.B/C\n      - a.B/C", .duplicateMethod, 7),
      (head + "  - identity: a\n   may: [", .malformedYAML, 5),
    ]
    for (yaml, code, line) in cases {
      let found = at(yaml)
      #expect(found?.0 == code, "\(yaml)")
      #expect(found?.1 == line, "\(yaml)")
    }
    let rules = head + "  - identity: a\n    may:\n      - a.v1.B/C\n      - a.v1.B/X\n      - other.v1.Y/Z"
    #expect(at(rules, known: ["a.v1.B/C"])?.0 == .unknownMethod)
    #expect(at(rules, known: ["a.v1.B/C"])?.1 == 7)
    #expect(at(rules, known: ["a.v1.B/C", "a.v1.B/X"]) == nil)
    #expect(at(head + "  - identity: a\n    may:\n      - a.v1.Bee/C", known: ["a.v1.B/C"])?.0 == .unknownMethod)
  }

  @Test("a file that is not there, or no file, or not UTF-8, is an error that names it")
  func files() throws {
    #expect(throws: PolicyError.self) { try Policy.load(file: "/nowhere/policy.yaml") }
    #expect(throws: PolicyError.self) { try Policy.load(file: "/") }
    let folder = try TemporaryDirectory()
    let file = try folder.write("policy.yaml", "version: 1\ntrust_domain: florin.local\nrules: []\n")
    #expect(try !Policy.load(file: file).allows(id("payment"), "a.B/C"))
  }

  @Test("the policy that is deployed grants exactly what stands in this table")
  func deployed() throws {
    let file = #filePath.replacing("/Tests/MeshTests/PolicyTests.swift", with: "/deploy/policy.yaml")
    let policy = try Policy.load(file: file)
    let methods = [
      "florin.account.v1.Accounts": ["Open", "Get", "List", "Freeze", "Unfreeze", "Close", "ScreenPayer", "GetStep", "Tombstone", "Trace"],
      "florin.ledger.v1.Ledger": ["OpenAccount", "SetAccountStatus", "Post", "Fund", "GetBalance", "GetStatement", "GetTransfer", "Trace"],
      "florin.payment.v1.Payments": ["Create", "Get", "List", "Trace"],
      "florin.notification.v1.Notifications": ["Submit", "GetStep", "Tombstone", "List", "SetSuppression", "Trace"],
    ]
    let operators = [
      "Accounts/Open", "Accounts/Get", "Accounts/List", "Accounts/Freeze", "Accounts/Unfreeze", "Accounts/Close", "Accounts/Trace",
      "Ledger/GetBalance", "Ledger/GetStatement", "Ledger/GetTransfer", "Ledger/Trace", "Payments/Create", "Payments/Get",
      "Payments/List", "Payments/Trace", "Notifications/List", "Notifications/Trace", "Notifications/SetSuppression",
    ]
    let granted: [String: Set<String>] = [
      "payment": [
        "Accounts/ScreenPayer", "Accounts/GetStep", "Accounts/Tombstone", "Ledger/Post", "Ledger/GetTransfer", "Notifications/Submit",
        "Notifications/GetStep", "Notifications/Tombstone",
      ],
      "account": ["Ledger/OpenAccount", "Ledger/SetAccountStatus", "Ledger/GetBalance"],
      "ledger": [], "notification": [], "auditor": [], "migrator": [], "postgres": [], "operator": [],
      "operator/alice": Set(operators),
      "operator/admin": Set(operators + ["Ledger/Fund"]),
    ]
    for (path, expected) in granted {
      for (service, names) in methods {
        for name in names {
          let short = "\(service.split(separator: ".").last ?? "")/\(name)"
          #expect(policy.allows(id(path), "\(service)/\(name)") == expected.contains(short), "\(path) → \(short)")
        }
      }
    }
    // Every line of it is about a method that exists.
    _ = try Policy.load(file: file, knownMethods: methods.flatMap { service, names in names.map { "\(service)/\($0)" } })
  }
}
