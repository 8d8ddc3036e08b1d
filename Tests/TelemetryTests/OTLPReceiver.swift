import Hummingbird
import Logging
import NIOCore
import ProtobufCodec
import ServiceLifecycle
import Synchronization

@testable import OTLPExport

/// A collector: a real HTTP server that decodes what is posted to /v1/traces and answers as it is told.
final class OTLPReceiver: Sendable {
  struct Answer: Sendable {
    var status: HTTPResponse.Status = .ok
    var retryAfter: String?
    var rejected: Int64 = 0
    var delay: Duration = .zero
  }

  private struct State {
    var answers: [Answer] = []
    var requests: [OTLPAPI.ExportTraceServiceRequest] = []
    var contentTypes: [String] = []
    var attempts = 0
  }

  private let state = Mutex(State())

  /// What the next requests get, one each; then 200.
  func answer(_ answers: [Answer]) { state.withLock { $0.answers += answers } }

  var requests: [OTLPAPI.ExportTraceServiceRequest] { state.withLock { $0.requests } }
  var contentTypes: [String] { state.withLock { $0.contentTypes } }
  /// Requests of any outcome.
  var attempts: Int { state.withLock { $0.attempts } }
  /// Of the requests that were accepted.
  var spans: [OTLPAPI.Span] { requests.flatMap { $0.resourceSpans.flatMap { $0.scopeSpans.flatMap(\.spans) } } }

  /// Runs the server while `body` runs, and gives it the base URL.
  func serve(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
    let router = Router()
    router.post("/v1/traces") { request, _ in try await self.handle(request) }
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) },
      logger: Logger(label: "receiver") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await application.run() }
      for await port in ports {
        try await body("http://127.0.0.1:\(port)")
        break
      }
      group.cancelAll()
    }
  }

  private func handle(_ request: Request) async throws -> Response {
    let body = try await request.body.collect(upTo: 16 << 20)
    let answer = state.withLock { state in
      state.attempts += 1
      return state.answers.isEmpty ? Answer() : state.answers.removeFirst()
    }
    if answer.delay > .zero { try await Task.sleep(for: answer.delay) }
    guard answer.status == .ok else {
      return Response(status: answer.status, headers: answer.retryAfter.map { [.retryAfter: $0] } ?? [:])
    }
    let message = try OTLPAPI.ExportTraceServiceRequest(serialized: Array(body.readableBytesView))
    state.withLock { state in
      state.requests.append(message)
      state.contentTypes.append(request.headers[.contentType] ?? "")
    }
    var reply = OTLPAPI.ExportTraceServiceResponse()
    if answer.rejected > 0 { reply.partialSuccess = .init(rejectedSpans: answer.rejected, errorMessage: "too old") }
    return Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(bytes: try reply.serialized())))
  }
}

/// Waits for a condition that other tasks bring about; gives up after 20 seconds.
func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
  for _ in 0..<2000 {
    if condition() { return true }
    try? await Task.sleep(for: .milliseconds(10))
  }
  return condition()
}
