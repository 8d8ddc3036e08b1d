internal import MeshServer
internal import MeshTLS
internal import Migrations
internal import NIOCore
internal import OTLPExport
internal import Postgres

extension ServiceFailure {
  /// The exit code and words for any error that ended the process.
  init(describing error: any Error) {
    switch error {
    case let failure as ServiceFailure: self = failure
    case let error as TLSError: self.init(.configuration, error.message)
    case let error as PolicyError: self.init(.configuration, error.description)
    case let error as OTLPError: self.init(.configuration, error.description)
    case let error as MeshServerError:
      let isOurs = error.code == .duplicateMethod || error.code == .alreadyRun || error.code == .unusableLimits
      self.init(error.code == .handlersLeft ? .failed : isOurs ? .internalBug : .configuration, error.message)
    case let error as MigrationError: self.init(Self.code(error), error.message)
    case let error as PostgresError:
      self.init(error.code == .refused ? .configuration : error.isUnavailable ? .unavailable : .internalBug, error.description)
    case let error as IOError: self.init(.configuration, "\(error)")
    case is CancellationError: self.init(.failed, "the work was cancelled")
    default: self.init(.internalBug, "\(error) (\(String(reflecting: type(of: error))))")
    }
  }

  private static func code(_ error: MigrationError) -> Code {
    switch error.code {
    case .badList, .badName: .internalBug
    case .edited, .missing, .outOfOrder: .configuration
    case .locked: .unavailable
    case .failed(_, let cause): cause.isUnavailable ? .unavailable : cause.isInsufficientPrivilege ? .configuration : .failed
    }
  }
}
