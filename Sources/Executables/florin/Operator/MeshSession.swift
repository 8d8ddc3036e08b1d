import ComposeRunner
import FlorinAPI
import Foundation
import Logging
import MeshClient
import MeshProtocol
import MeshTLS

/// The services of the running mesh, as one operator reaches them.
final class MeshSession {
  let status: SupervisorStatus
  let directory: StateDirectory
  private let tls: TLSContext
  private let timeout: Duration
  private var channels: [String: MeshChannel] = [:]

  private init(status: SupervisorStatus, directory: StateDirectory, tls: TLSContext, timeout: Duration) {
    self.status = status
    self.directory = directory
    self.tls = tls
    self.timeout = timeout
  }

  static func open(_ options: MeshOptions) throws -> MeshSession {
    let directory = try options.project.directory()
    guard let status = SupervisorStatus.read(directory), status.phase != .stopped else {
      throw SupervisorClient(directory).nothingRuns
    }
    let identity = status.certificatesDirectory + "/leaves/operator/" + options.operatorName
    guard FileManager.default.fileExists(atPath: identity) else {
      throw Failure(
        .environment,
        "operator/\(options.operatorName) has no certificate in \(status.certificatesDirectory): florin certs init --operator \(options.operatorName) makes one",
        reason: "operator_unknown")
    }
    let tls = try TLSContext.load(IdentityFiles(directory: identity), role: .client)
    return MeshSession(status: status, directory: directory, tls: tls, timeout: .seconds(options.timeout))
  }

  var accounts: AccountAPI.AccountsClient { get throws { AccountAPI.AccountsClient(try channel("account")) } }
  var ledger: LedgerAPI.LedgerClient { get throws { LedgerAPI.LedgerClient(try channel("ledger")) } }
  var payments: PaymentAPI.PaymentsClient { get throws { PaymentAPI.PaymentsClient(try channel("payment")) } }
  var notifications: NotificationAPI.NotificationsClient { get throws { NotificationAPI.NotificationsClient(try channel("notification")) } }

  /// Of every call; with a key for those that need one.
  func call(key: IdempotencyKeyText? = nil) -> CallOptions { CallOptions(timeout: timeout, idempotencyKey: key?.text) }

  func close() async {
    for channel in channels.values { await channel.shutDown() }
  }

  private func channel(_ name: String) throws -> MeshChannel {
    if let channel = channels[name] { return channel }
    guard let service = status.service(name), let port = service.ports["mesh"] else {
      throw Failure(.environment, "the running project has no service '\(name)' with a mesh port: see florin ps", reason: "service_unknown")
    }
    // What goes wrong is told once, as the command's error.
    let logger = Logger(label: "florin") { _ in SwiftLogNoOpLogHandler() }
    var configuration = MeshChannelConfiguration(
      targets: [MeshAddress(host: "127.0.0.1", port: port)],
      expectedPeer: SPIFFEID(trustDomain: status.trustDomain, path: service.identity ?? name), tls: tls, logger: logger,
      build: "florin \(Florin.version)")
    configuration.drainLimit = .milliseconds(200)
    let channel = MeshChannel(configuration: configuration)
    channels[name] = channel
    return channel
  }
}
