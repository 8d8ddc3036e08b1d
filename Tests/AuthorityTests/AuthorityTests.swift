import Authority
import COpenSSL
import Glibc
import Money
import Testing

@Suite("The authority")
struct AuthorityTests {
  let folder: TemporaryDirectory
  var directory: String { folder.path + "/certs" }
  let now = SystemWallClock().now

  init() throws { folder = try TemporaryDirectory() }

  @Test("Initialisation makes the whole layout, with keys that only the owner can read")
  func layout() throws {
    let report = try Authority.initialize(directory: directory, now: now)
    let leaves = ["account", "ledger", "payment", "notification", "postgres", "migrator", "auditor", "operator/admin"]
    #expect(report.items.map(\.name) == ["ca/root", "ca/intermediate"] + leaves)
    #expect(report.items.allSatisfy { $0.action == .created })
    #expect(names(in: directory + "/ca") == ["intermediate.cert.pem", "intermediate.key.pem", "root.cert.pem", "root.key.pem"])
    #expect(permissions(directory + "/ca") == 0o700)
    for key in ["root", "intermediate"] { #expect(permissions("\(directory)/ca/\(key).key.pem") == 0o400) }
    for leaf in leaves {
      let path = report.authority.leafDirectory(leaf)
      #expect(path == "\(directory)/leaves/\(leaf)")
      #expect(names(in: path) == ["bundle.pem", "cert.pem", "key.pem"])
      #expect(permissions(path) == 0o700 && permissions(path + "/key.pem") == 0o400)
      #expect(try verifies(path), "\(leaf): strict verification (RFC 5280)")
    }
    #expect(names(in: directory + "/leaves").filter { $0.hasPrefix(".") }.isEmpty)
  }

  @Test("A second run keeps every byte")
  func idempotent() throws {
    let path = directory + "/leaves/ledger/cert.pem"
    _ = try Authority.initialize(directory: directory, now: now)
    let before = try contents(path)
    let report = try Authority.initialize(directory: directory + "/", now: now.adding(seconds: 60))
    #expect(report.isUnchanged)
    #expect(try contents(path) == before)
  }

  @Test("What is unsound is made again, and only that, with the reason")
  func repair() throws {
    let authority = try Authority.initialize(directory: directory, now: now).authority
    chmod(authority.leafDirectory("account") + "/key.pem", 0o644)
    unlink(authority.leafDirectory("ledger") + "/bundle.pem")
    try overwrite(authority.leafDirectory("payment") + "/cert.pem", with: Array("noise".utf8), mode: 0o444)
    try overwrite(
      authority.leafDirectory("migrator") + "/key.pem", with: contents(authority.leafDirectory("auditor") + "/key.pem"), mode: 0o400)
    try authority.issue(.client("notification"), now: now)  // was a server too
    let report = try Authority.initialize(directory: directory, now: now)
    let renewed = report.items.filter { $0.action != .kept }
    #expect(
      renewed.map { "\($0.name): \($0.action)" } == [
        "account: renewed: others could read its key", "ledger: renewed: a file was missing", "payment: renewed: a file was damaged",
        "notification: renewed: other names or usages were asked for", "migrator: renewed: its key did not match",
      ])
    #expect(try Authority.initialize(directory: directory, now: now).isUnchanged)
  }

  @Test("A leaf is renewed at half of its life, and after its end")
  func halfLife() throws {
    func run(after seconds: Int64) throws -> [AuthorityReport.Action] {
      try Authority.initialize(
        directory: directory, leaves: [.service("ledger")], leafLifetime: .seconds(3600), now: now.adding(seconds: seconds)
      )
      .items.map(\.action)
    }
    _ = try run(after: 0)
    #expect(try run(after: 1500) == [.kept, .kept, .kept])
    #expect(try run(after: 1900) == [.kept, .kept, .renewed(reason: "half of its life was over")])
    #expect(try run(after: 9000) == [.kept, .kept, .renewed(reason: "it had expired")])
    #expect(try run(after: 0) == [.kept, .kept, .renewed(reason: "it was not valid yet")])
  }

  @Test("An intermediate that is about to expire is made again under the same root, and the leaves with it")
  func intermediateRenewal() throws {
    _ = try Authority.initialize(directory: directory, leaves: [.service("ledger")], now: now)
    let root = try contents(directory + "/ca/root.cert.pem")
    let later = now.adding(seconds: 365 * 86_400 - 3600)
    let report = try Authority.initialize(directory: directory, leaves: [.service("ledger")], now: later)
    #expect(
      report.items.map(\.action) == [
        .kept, .renewed(reason: "it would expire before a new leaf"), .renewed(reason: "it had another issuer"),
      ])
    #expect(try contents(directory + "/ca/root.cert.pem") == root)
    #expect(permissions(directory + "/ca/root.key.pem") == 0o400)
    #expect(try verifies(directory + "/leaves/ledger", at: later))
  }

  @Test("Force makes a new authority; the old leaves are worthless under it")
  func force() throws {
    _ = try Authority.initialize(directory: directory, leaves: [.service("ledger")], now: now)
    let old = try contents(directory + "/leaves/ledger/cert.pem")
    let report = try Authority.initialize(directory: directory, leaves: [.service("ledger")], force: true, now: now)
    #expect(report.items.allSatisfy { $0.action == .renewed(reason: "forced") })
    #expect(try verifies(directory + "/leaves/ledger"))
    try overwrite(directory + "/leaves/ledger/cert.pem", with: old, mode: 0o444)
    #expect(try !verifies(directory + "/leaves/ledger"))
  }

  @Test("Errors say what is wrong and what to do")
  func errors() throws {
    func refusal(_ body: () throws -> Void) -> AuthorityError? { #expect(throws: AuthorityError.self) { try body() } }
    #expect(refusal { _ = try Authority.open(directory: directory) }?.code == .notInitialized)
    #expect(refusal { _ = try Authority.status(directory: directory) }?.description.contains("florin certs init") == true)
    for domain in ["", "Florin.Local", "a/b", "a b"] {
      #expect(refusal { _ = try Authority.initialize(directory: directory, trustDomain: domain) }?.code == .invalidRequest)
    }
    for name in ["", "operator", "a/b", "../x", "operator/", "operator/..", ".hidden", "a b", String(repeating: "x", count: 65)] {
      #expect(refusal { _ = try Authority.initialize(directory: directory, leaves: [.service(name)]) }?.code == .invalidRequest, "\(name)")
    }
    for seconds in [0, -1, 91 * 86_400] as [Int64] {
      #expect(refusal { _ = try Authority.initialize(directory: directory, leafLifetime: .seconds(seconds)) }?.code == .invalidRequest)
    }
    #expect(names(in: folder.path).isEmpty, "a refused request leaves nothing behind")

    _ = try Authority.initialize(directory: directory, leaves: [], now: now)
    #expect(refusal { _ = try Authority.initialize(directory: directory, trustDomain: "other.local", leaves: []) }?.code == .damaged)
    #expect(
      refusal { _ = try Authority.initialize(directory: directory, leaves: [], now: now.adding(seconds: 11 * 365 * 86_400)) }?.code
        == .expired)
    try overwrite(folder.path + "/file", with: [], mode: 0o600)
    #expect(refusal { _ = try Authority.initialize(directory: folder.path + "/file") }?.code == .fileSystem)
    unlink(directory + "/ca/intermediate.key.pem")
    #expect(refusal { _ = try Authority.initialize(directory: directory, leaves: []) }?.code == .damaged)
  }

  @Test("Status tells serial, issuer, end and SPIFFE id of each, and what is wrong")
  func status() throws {
    let authority = try Authority.initialize(
      directory: directory, leaves: [.service("ledger"), .operatorNamed("alice"), .client("auditor")], now: now
    ).authority
    let all = try Authority.status(directory: directory, now: now)
    #expect(all.map(\.name) == ["ca/root", "ca/intermediate", "auditor", "ledger", "operator/alice"])
    #expect(all.allSatisfy { $0.problem == nil && $0.serial.utf8.count == 32 })
    #expect(Set(all.map(\.serial)).count == all.count)
    let alice = try #require(all.last)
    #expect(alice.spiffeID == "spiffe://florin.local/operator/alice" && alice.issuer.hasPrefix("CN=Florin intermediate"))
    #expect(alice.notAfter.microseconds / 1_000_000 == now.microseconds / 1_000_000 + 86_400)

    chmod(authority.leafDirectory("ledger") + "/key.pem", 0o440)
    unlink(authority.leafDirectory("operator/alice") + "/key.pem")
    try overwrite(authority.leafDirectory("auditor") + "/cert.pem", with: [0x20], mode: 0o444)
    let problems = try Authority.status(directory: directory, now: now).compactMap(\.problem)
    #expect(problems == ["cert.pem is damaged", "others can read key.pem", "key.pem is missing"])
    #expect(
      try Authority.status(directory: directory, now: now.adding(seconds: 400 * 86_400)).filter { $0.problem == "it has expired" }.count
        == 1)
  }

  @Test("PostgreSQL's leaf is good for localhost and 127.0.0.1")
  func postgres() throws {
    _ = try Authority.initialize(directory: directory, leaves: [.postgres()], now: now)
    let leaf = try certificate(directory + "/leaves/postgres/cert.pem")
    defer { X509_free(leaf) }
    #expect(X509_check_host(leaf, "localhost", 9, 0, nil) == 1)
    #expect(X509_check_ip_asc(leaf, "127.0.0.1", 0) == 1)
    #expect(X509_check_host(leaf, "example.org", 11, 0, nil) == 0)
  }

  @Test("Run as root, a leaf can be given to the user who needs it", .enabled(if: geteuid() == 0, "only root can give files away"))
  func ownership() throws {
    let leaves: [LeafRequest] = [.service("ledger"), .postgres(owner: FileOwner(user: 12_345, group: 12_345))]
    _ = try Authority.initialize(directory: directory, leaves: leaves, now: now)
    #expect(owner(directory + "/leaves/postgres") == 12_345 && owner(directory + "/leaves/postgres/key.pem") == 12_345)
    #expect(owner(directory + "/leaves/ledger/key.pem") == 0)
    // Another user can pass through to a directory of their own, and cannot look around on the way.
    #expect(permissions(directory) == 0o711 && permissions(directory + "/leaves") == 0o711)
    #expect(try Authority.initialize(directory: directory, leaves: leaves, now: now).isUnchanged)
    chown(directory + "/leaves/postgres/key.pem", 0, 0)
    #expect(
      try Authority.initialize(directory: directory, leaves: leaves, now: now).items.last?.action
        == .renewed(reason: "another user owned it"))
  }

  @Test("Several at once end with one sound authority")
  func concurrent() async throws {
    let (directory, now) = (directory, now)
    for round in 0..<5 {
      let path = "\(directory)-\(round)"
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 { group.addTask { _ = try Authority.initialize(directory: path, leaves: [.service("ledger")], now: now) } }
        try await group.waitForAll()
      }
      #expect(try verifies(path + "/leaves/ledger"))
      #expect(try Authority.initialize(directory: path, leaves: [.service("ledger")], now: now).isUnchanged)
    }
  }

  @Test("What a crash left behind is cleared away by the next run")
  func leftovers() throws {
    let authority = try Authority.initialize(directory: directory, leaves: [.service("ledger")], now: now).authority
    mkdir(directory + "/leaves/.ledger.new-dead", 0o700)
    try overwrite(directory + "/leaves/.ledger.new-dead/key.pem", with: [1], mode: 0o400)
    try authority.issue(.service("ledger"), now: now)
    #expect(names(in: directory + "/leaves") == ["ledger"])
  }

  // MARK: - OpenSSL's own opinion

  struct Unreadable: Error {}

  func certificate(_ path: String, at index: Int = 0) throws -> OpaquePointer {
    guard let bio = BIO_new_file(path, "r") else { throw Unreadable() }
    defer { BIO_free(bio) }
    for _ in 0..<index { X509_free(PEM_read_bio_X509(bio, nil, nil, nil)) }
    guard let found = PEM_read_bio_X509(bio, nil, nil, nil) else { throw Unreadable() }
    return found
  }

  /// Does the leaf verify under its bundle with every strict check that OpenSSL knows?
  func verifies(_ path: String, at time: Timestamp? = nil) throws -> Bool {
    let (leaf, intermediate) = (try certificate(path + "/cert.pem"), try certificate(path + "/cert.pem", at: 1))
    let root = try certificate(path + "/bundle.pem")
    let (store, chain, context) = (X509_STORE_new(), florin_sk_X509_new(), X509_STORE_CTX_new())
    defer {
      X509_STORE_CTX_free(context)
      florin_sk_X509_free(chain)
      X509_STORE_free(store)
      for each in [leaf, intermediate, root] { X509_free(each) }
    }
    X509_STORE_add_cert(store, root)
    _ = florin_sk_X509_push(chain, intermediate)
    X509_STORE_CTX_init(context, store, leaf, chain)
    X509_STORE_CTX_set_flags(context, UInt(X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_POLICY_CHECK))
    X509_STORE_CTX_set_time(context, 0, time_t((time ?? now).microseconds / 1_000_000))
    return X509_verify_cert(context) == 1
  }
}
