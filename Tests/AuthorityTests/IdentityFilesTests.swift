import Authority
import Glibc
import MeshTLS
import Money
import Testing

@Suite("Identity files")
struct IdentityFilesTests {
  let mesh: TestMesh
  let directory: String

  init() throws {
    mesh = try TestMesh()
    directory = try mesh.leaf("payment")
  }

  func refusal() -> TLSError? {
    #expect(throws: TLSError.self) { try TLSContext.load(IdentityFiles(directory: directory), role: .client) }
  }

  @Test(
    "A key that others can read is refused, and the error says which file and what to do",
    arguments: [0o440, 0o404, 0o640, 0o644] as [mode_t])
  func openKey(mode: mode_t) {
    chmod(directory + "/key.pem", mode)
    let error = refusal()
    #expect(error?.reason == .openToOthers)
    #expect(error?.message.contains("chmod 0400 \(directory)/key.pem") == true)
  }

  @Test("Owner-only modes are accepted", arguments: [0o400, 0o600] as [mode_t])
  func privateKey(mode: mode_t) throws {
    chmod(directory + "/key.pem", mode)
    #expect(try TLSContext.load(IdentityFiles(directory: directory), role: .client).identity.path == "payment")
  }

  @Test("A directory or a file that others can write is refused")
  func writable() {
    chmod(directory, 0o770)
    #expect(refusal()?.reason == .openToOthers)
    chmod(directory, 0o700)
    chmod(directory + "/bundle.pem", 0o666)
    #expect(refusal()?.reason == .openToOthers)
  }

  @Test("A missing file is named", arguments: ["cert.pem", "key.pem", "bundle.pem"])
  func missing(name: String) {
    unlink("\(directory)/\(name)")
    let error = refusal()
    #expect(error?.reason == .fileMissing)
    #expect(error?.message.contains("\(directory)/\(name)") == true)
  }

  @Test("A missing directory is named")
  func missingDirectory() {
    let error = #expect(throws: TLSError.self) { try IdentityFiles(directory: "/nonexistent/florin").check() }
    #expect(error?.reason == .fileMissing && error?.message.contains("/nonexistent/florin") == true)
  }

  @Test("Symbolic links are refused, for each file and for the directory", arguments: ["cert.pem", "key.pem", "bundle.pem", ""])
  func symbolicLinks(name: String) throws {
    let elsewhere = try mesh.leaf("payment")
    if name.isEmpty {
      let link = mesh.folder.path + "/link"
      symlink(elsewhere, link)
      #expect(#expect(throws: TLSError.self) { try IdentityFiles(directory: link).check() }?.reason == .symbolicLink)
    } else {
      unlink("\(directory)/\(name)")
      symlink("\(elsewhere)/\(name)", "\(directory)/\(name)")
      #expect(refusal()?.reason == .symbolicLink)
    }
  }

  @Test("A pipe in the place of a file neither hangs nor passes")
  func pipe() {
    unlink(directory + "/cert.pem")
    mkfifo(directory + "/cert.pem", 0o600)
    #expect(refusal()?.reason == .damaged)
  }

  @Test("Half a PEM, an empty file and noise are refused, at every cut", arguments: ["cert.pem", "key.pem", "bundle.pem"])
  func torn(name: String) throws {
    let path = "\(directory)/\(name)"
    let whole = try contents(path)
    // The last cut that must fail is before the end line's last hyphen.
    for cut in stride(from: 0, to: whole.count - 2, by: 7) {
      try overwrite(path, with: Array(whole[..<cut]), mode: 0o400)
      let error = #expect(throws: TLSError.self, "cut at \(cut)") {
        try TLSContext.load(IdentityFiles(directory: directory), role: .client)
      }
      // After its first certificate a chain may be cut cleanly between two: then the intermediate is what is missing.
      #expect([.damaged, .unknownCA].contains(error?.reason), "cut at \(cut): \(String(describing: error))")
    }
    try overwrite(path, with: Array(whole.dropLast()), mode: 0o400)
    #expect(throws: Never.self, "a missing last newline does no harm") { try IdentityFiles(directory: directory).check() }
  }

  @Test("A key of another leaf is refused")
  func mismatch() throws {
    try overwrite(directory + "/key.pem", with: contents(mesh.leaf("payment") + "/key.pem"), mode: 0o400)
    #expect(refusal()?.reason == .keyMismatch)
  }

  @Test("A bundle of another authority, or with a leaf in it, is refused")
  func wrongBundle() throws {
    let bundle = directory + "/bundle.pem"
    let other = try TestMesh()
    try overwrite(bundle, with: contents(other.files("ledger").directory + "/bundle.pem"), mode: 0o444)
    #expect(refusal()?.reason == .unknownCA)
    try overwrite(bundle, with: contents(directory + "/cert.pem"), mode: 0o444)
    #expect(refusal()?.reason == .damaged)
  }

  @Test("A renewed identity is taken whole; a torn one leaves what was there")
  func reload() throws {
    let files = mesh.files("payment")
    let identity = try TLSIdentity(files, roles: [.client, .server])
    let first = identity.current
    #expect(first.generation == 1 && first.client?.leaf == first.server?.leaf)

    try mesh.authority.issue(.service("payment"), now: mesh.now)
    try identity.reload()
    let second = identity.current
    #expect(second.generation == 2 && second.client?.leaf.serial != first.client?.leaf.serial)

    try overwrite(files.directory + "/cert.pem", with: contents(mesh.authority.leafDirectory("ledger") + "/cert.pem"), mode: 0o444)
    #expect(#expect(throws: TLSError.self) { try identity.reload() }?.reason == .keyMismatch)
    #expect(identity.current.generation == 2 && identity.current.client?.leaf == second.client?.leaf)

    try mesh.authority.issue(.service("payment"), now: mesh.now)
    #expect(try identity.reload().generation == 3)
  }
}
