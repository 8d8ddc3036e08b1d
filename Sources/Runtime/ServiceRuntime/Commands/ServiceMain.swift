internal import ArgumentParser
internal import Glibc

/// What a service's executable does: parse the arguments, then `serve` or `migrate`.
public enum ServiceMain {
  /// Never returns; exits with the codes of `ServiceFailure.Code`, or 0.
  public static func main(_ definition: ServiceDefinition) async -> Never {
    exit(await run(definition, arguments: Array(CommandLine.arguments.dropFirst())))
  }

  /// The same as a function, answering the exit code.
  /// - Parameter write: gets text for a descriptor (1 or 2).
  package static func run(
    _ definition: ServiceDefinition, arguments: [String], write: @escaping @Sendable (Int32, String) -> Void = ServiceMain.write
  ) async -> Int32 {
    let command: any ParsableCommand
    do {
      command = try ServiceCommand.$definition.withValue(definition) { try ServiceCommand.parseAsRoot(arguments) }
    } catch {
      return ServiceCommand.$definition.withValue(definition) { answer(error, write) }
    }
    do {
      switch command {
      case let serve as ServeCommand:
        try await ServiceProcess(definition, try await serve.options.loader(definition).load()).serve()
      case let migrate as MigrateCommand:
        let configuration = try await migrate.options.loader(definition).load()
        try await MigrationRun(definition, configuration).run { write(1, $0 + "\n") }
      default:
        // ArgumentParser's own command for help, whose answer is what it throws.
        return ServiceCommand.$definition.withValue(definition) {
          var help = command
          do {
            try help.run()
            return 0
          } catch {
            return answer(error, write)
          }
        }
      }
      return 0
    } catch {
      let failure = ServiceFailure(describing: error)
      write(2, "\(definition.name): \(failure.message)\n")
      return failure.code.rawValue
    }
  }

  /// Help and version go to standard output with 0; a usage error to standard error with 2 (ArgumentParser's own is 64).
  private static func answer(_ error: any Error, _ write: (Int32, String) -> Void) -> Int32 {
    let isSuccess = ServiceCommand.exitCode(for: error) == .success
    write(isSuccess ? 1 : 2, ServiceCommand.fullMessage(for: error) + "\n")
    return isSuccess ? 0 : ServiceFailure.Code.usage.rawValue
  }

  /// Writes all of it; a reader that is gone is not our failure.
  package static func write(_ descriptor: Int32, _ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR && errno != EAGAIN { return }
    }
  }
}
