import ArgumentParser
import ComposeRunner

/// How a command speaks to the mesh, and shows what it hears.
struct MeshOptions: ParsableArguments {
  @OptionGroup var project: ProjectOptions

  @Option(name: .customLong("as"), help: ArgumentHelp("Who asks: operator/NAME, with a certificate of the authority.", valueName: "name"))
  var operatorName: String = "admin"

  @Option(name: .long, help: ArgumentHelp("How long to wait for an answer.", valueName: "seconds"))
  var timeout: Int = 30

  @Flag(name: .long, help: "For machines. Amounts are decimals in texts, so that no reader rounds them; times are UTC.")
  var json = false

  func validate() throws {
    guard (1...3600).contains(timeout) else { throw ValidationError("--timeout must be from 1 to 3600 seconds") }
    let isWord = operatorName.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || [0x2d, 0x2e, 0x5f].contains($0)
    }
    guard isWord, !operatorName.isEmpty, !operatorName.hasPrefix(".") else {
      throw ValidationError("--as must be the name of an operator (letters, digits, '-', '.', '_'), not '\(operatorName)'")
    }
  }

  /// Opens the way to the services, and closes it when the body has ended.
  func withMesh<R>(_ body: (MeshSession) async throws -> R) async throws -> R {
    let session = try MeshSession.open(self)
    let result: Result<R, any Error>
    do { result = .success(try await body(session)) } catch { result = .failure(error) }
    await session.close()
    return try result.get()
  }

  /// One record: lines for people, JSON for machines.
  func show(_ record: Record) { Console.print(json ? record.json : record.lines) }

  /// Several: a table, or the JSON of `{name: […]}`.
  func show(_ records: [Record], as name: String, columns: [String], right: Set<String> = [], more: [(String, Record.Value)] = []) {
    if json {
      Console.print(Record([(name, .records(records))] + more).json)
    } else if records.isEmpty {
      Console.print("no \(name)")
    } else {
      Console.print(Record.table(records, columns: columns, right: right))
    }
  }
}
