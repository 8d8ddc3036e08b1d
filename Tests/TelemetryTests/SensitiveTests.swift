import Foundation
import Logging
import Telemetry
import Testing
import Tracing

@Suite("Redaction by type")
struct SensitiveTests {
  struct Person: Encodable, Sendable {
    var id = "ACC1"
    var name = Sensitive("canary-7f3a")
  }

  @Test("No way of printing, mirroring or encoding shows the value")
  func nothingShows() throws {
    let secret = Sensitive("canary-7f3a")
    var dumped = ""
    dump(Person(), to: &dumped)
    var texts = [
      "\(secret)", secret.debugDescription, String(describing: secret), String(reflecting: secret), "\(Optional(secret) as Any)",
      "\([secret])", "\(["key": secret])", "\(Person())", String(reflecting: Person()), dumped,
    ]
    texts.append(String(decoding: try JSONEncoder().encode(Person()), as: UTF8.self))
    for text in texts {
      #expect(!text.contains("canary"))
      #expect(text.contains(redactionMark))
    }
    #expect(secret.exposed() == "canary-7f3a")
  }

  @Test("Neither a log line nor a span shows it")
  func logsAndSpans() {
    let output = MemoryLogOutput()
    let logger = Logger(label: "test") { JSONLogHandler(label: $0, service: "account", output: output) }
    logger.info("test.redaction", metadata: ["name": .stringConvertible(Sensitive("canary-7f3a")), "text": "\(Sensitive(12345678))"])
    #expect(output.lines[0].contains(#""name":"[redacted]","text":"[redacted]""#))
    let sink = MemorySpanSink()
    let span = FlorinTracer(sink: sink).startSpan("test")
    span.attributes.set("name", value: .stringConvertible(Sensitive("canary-7f3a")))
    span.end()
    #expect(!"\(sink.spans)".contains("canary"))
  }
}
