import ArgumentParser
import Authority
import ComposeRunner
import Foundation
import MeshProtocol
import MeshTLS
import Money

/// What a command ends with when it does not end well.
struct Failure: Error {
  /// The exit codes of every executable of Florin.
  enum Code: Int32 {
    case declined = 1
    case usage = 2
    case unavailable = 3
    case environment = 4
    case bug = 70
  }

  var code: Code
  /// What is wrong and what to do; empty if everything has been said on standard output.
  var message: String
  /// A stable word for machines.
  var reason: String

  init(_ code: Code, _ message: String, reason: String? = nil) {
    self.code = code
    self.message = message
    self.reason = reason ?? "\(code)"
  }

  /// Everything has been said: only the exit code is missing.
  static func silent(_ code: Code) -> Failure { Failure(code, "") }

  /// Tells the user, and gives the code to exit with.
  static func report(_ error: any Error) -> Int32 {
    guard let failure = Failure(error) else {
      // Help, version, and what the argument parser itself refuses.
      let isClean = Florin.exitCode(for: error) == .success
      let text = Florin.fullMessage(for: error)
      (isClean ? FileHandle.standardOutput : .standardError).write(Data((text + "\n").utf8))
      return isClean ? 0 : Code.usage.rawValue
    }
    if failure.message.isEmpty { return failure.code.rawValue }
    if CommandLine.arguments.contains("--json") {
      let object = Record([
        (
          "error",
          .record(
            Record([
              ("reason", .text(failure.reason)), ("exit_code", .number(Int64(failure.code.rawValue))), ("message", .text(failure.message)),
            ]))
        )
      ])
      Console.error(object.json)
    } else {
      Console.error("florin: " + failure.message)
    }
    return failure.code.rawValue
  }

  /// Nil: it is the argument parser's.
  private init?(_ error: any Error) {
    switch error {
    case let error as Failure: self = error
    case let error as RunnerError: self.init(Self.code(of: error), error.message, reason: error.code.rawValue)
    case let error as ComposeError: self.init(.environment, error.description, reason: error.code.rawValue)
    case let error as AuthorityError:
      self.init(error.code == .invalidRequest ? .usage : .environment, error.description, reason: error.code.rawValue)
    case let error as TLSError:
      self.init(
        .environment, "the operator's certificate: \(error.message) (florin certs init renews it, florin certs status shows all)",
        reason: error.reason.label)
    case let error as AmountError: self.init(.usage, error.description, reason: "amount_invalid")
    case let error as RPCError: self.init(error)
    default: return nil
    }
  }

  private init(_ error: RPCError) {
    let code: Code =
      switch error.code {
      case .invalidArgument, .outOfRange: .usage
      case .unavailable, .deadlineExceeded, .cancelled, .resourceExhausted: .unavailable
      case .unauthenticated, .permissionDenied: .environment
      case .ok, .unknown, .internal, .dataLoss, .unimplemented: .bug
      case .notFound, .alreadyExists, .failedPrecondition, .aborted: .declined
      }
    var message = "\(error.message) (\(error.code.name))"
    switch error.code {
    case .unavailable: message += "\nIs the mesh up? See florin ps and florin logs."
    case .deadlineExceeded: message += "\nAsk again: the same idempotency key never does a thing twice. Or wait longer with --timeout."
    case .unauthenticated: message += "\nSee florin certs status; florin certs init renews."
    case .permissionDenied: message += "\nWho may call what stands in deploy/policy.yaml; choose another identity with --as."
    default: break
    }
    self.init(code, message, reason: error.trailers["reason"] ?? error.code.name.lowercased())
  }

  private static func code(of error: RunnerError) -> Code {
    switch error.code {
    case .usage: .usage
    case .failed: .declined
    case .unavailable: .unavailable
    case .environment: .environment
    case .bug: .bug
    }
  }
}
