import ArgumentParser
import ComposeRunner
import Foundation

/// Which project a command means.
struct ProjectOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The compose file (default: deploy/compose.yaml or compose.yaml, here or above).", valueName: "file"))
  var file: String?

  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp("Where state, data and logs are (default: .florin in the project).", valueName: "dir"))
  var stateDirectory: String?

  /// For commands that need no compose file, only what runs.
  func directory() throws -> StateDirectory { try Self.directory(file: file, stateDirectory: stateDirectory) }

  static func directory(file: String?, stateDirectory: String?) throws -> StateDirectory {
    if let stateDirectory { return StateDirectory(path: absolutePath(stateDirectory)) }
    guard let path = Project.defaultStateDirectory(file: file) else {
      throw Failure(
        .environment,
        "there is no compose file here or in a directory above: go to the project's directory, or name the state directory with --state-dir DIR",
        reason: "project_unknown")
    }
    return StateDirectory(path: path)
  }
}

/// What commands need that read the compose file.
struct ComposeOptions: ParsableArguments {
  @OptionGroup var project: ProjectOptions

  @Option(
    name: .customLong("certs-dir"), help: ArgumentHelp("The authority's directory (default: certs/dev in the project).", valueName: "dir"))
  var certificatesDirectory: String?

  @Option(name: .customLong("profile"), help: ArgumentHelp("Take services of this profile, too. May be repeated.", valueName: "name"))
  var profiles: [String] = []

  static var variables: [String: String] { ProcessInfo.processInfo.environment }

  static var programs: ProjectLifecycle.Programs {
    ProjectLifecycle.Programs(florin: Project.programDirectory + "/florin", environment: variables)
  }

  func open() throws -> Project {
    try Project.open(
      file: project.file, stateDirectory: project.stateDirectory, certificatesDirectory: certificatesDirectory,
      profiles: Set(profiles), variables: Self.variables, executablesDirectory: Project.programDirectory)
  }
}
