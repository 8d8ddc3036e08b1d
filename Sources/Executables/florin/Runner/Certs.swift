import ArgumentParser
import Authority
import ComposeRunner
import Foundation
import Money

/// `florin certs`.
struct Certs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make and inspect the certificates of the mesh.", subcommands: [CertsInit.self, CertsStatus.self])
}

/// Where an authority is.
struct AuthorityOptions: ParsableArguments {
  @Option(
    name: .customLong("certs-dir"), help: ArgumentHelp("The authority's directory (default: certs/dev in the project).", valueName: "dir"))
  var directory: String?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The compose file (default: deploy/compose.yaml or compose.yaml, here or above).", valueName: "file"))
  var file: String?

  func resolve() throws -> String {
    if let directory { return absolutePath(directory) }
    guard let state = Project.defaultStateDirectory(file: file) else {
      throw Failure(
        .environment, "there is no compose file here or above: name the directory with --certs-dir DIR", reason: "project_unknown")
    }
    return absolutePath(state + "/../certs/dev")
  }
}

/// `florin certs init`.
struct CertsInit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make what is missing: root, intermediate, and a leaf for everyone of the mesh.",
    discussion: """
      What is sound is kept; a leaf that has passed half of its life is made
      again.

      Examples
        florin certs init
        florin certs init --operator alice
      """)

  @OptionGroup var authority: AuthorityOptions

  @Option(name: .customLong("trust-domain"), help: "Of every SPIFFE id.")
  var trustDomain = Authority.defaultTrustDomain

  @Option(
    name: .customLong("operator"), help: ArgumentHelp("Somebody who works with florin --as NAME. May be repeated.", valueName: "name"))
  var operators: [String] = []

  @Option(name: .customLong("leaf-hours"), help: ArgumentHelp("The life of a new leaf.", valueName: "hours"))
  var leafHours: Int = 24

  @Flag(name: .long, help: "Make everything again, the root too: every certificate issued before is then worthless.")
  var force = false

  @Flag(name: .long, help: "For machines.")
  var json = false

  func run() throws {
    let names = operators.contains("admin") ? operators : ["admin"] + operators
    let report = try Authority.initialize(
      directory: authority.resolve(), trustDomain: trustDomain, leaves: LeafRequest.standard(operators: names),
      leafLifetime: .seconds(Int64(leafHours) * 3600), force: force)
    let records = report.items.map { item in
      Record([
        ("name", .text(item.name)), ("action", .text(item.action.description)), ("not_after", .text(item.notAfter.description)),
        ("directory", .text(item.directory)),
      ])
    }
    Console.print(
      json
        ? Record([
          ("trust_domain", .text(trustDomain)), ("directory", .text(report.authority.directory)), ("certificates", .records(records)),
        ]).json
        : Record.table(records, columns: ["name", "action", "not_after", "directory"]))
  }
}

/// `florin certs status`.
struct CertsStatus: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show every certificate, until when it is valid, and what is wrong with it.",
    discussion: "Exit code 4 if anything is.\n\nExample\n  florin certs status")

  @OptionGroup var authority: AuthorityOptions

  @Flag(name: .long, help: "For machines.")
  var json = false

  func run() throws {
    let all = try Authority.status(directory: authority.resolve())
    let records = all.map { certificate in
      Record([
        ("name", .text(certificate.name)), ("kind", .text(certificate.kind.rawValue)),
        ("not_before", .text(certificate.notBefore.description)), ("not_after", .text(certificate.notAfter.description)),
        ("serial", .text(certificate.serial)), ("issuer", .text(certificate.issuer)), ("uris", .texts(certificate.uris)),
        ("directory", .text(certificate.directory)), ("problem", certificate.problem.map { .text($0) } ?? .null),
      ])
    }
    Console.print(
      json
        ? Record([("certificates", .records(records))]).json
        : Record.table(records, columns: ["name", "kind", "not_after", "uris", "problem"]))
    guard let bad = all.first(where: { $0.problem != nil }) else { return }
    throw Failure(.environment, "\(bad.name): \(bad.problem ?? ""): florin certs init makes it again", reason: "certificate_unsound")
  }
}
