import Foundation
import Logging
import Money
import Telemetry
import Testing
import Tracing

struct FixedClock: WallClock {
  var now: Timestamp
}

@Suite("JSON logs")
struct JSONLogHandlerTests {
  let output = MemoryLogOutput()
  let gbp: Currency
  let clock: FixedClock

  init() throws {
    gbp = try #require(Currency(code: "GBP"))
    clock = FixedClock(now: try #require(Timestamp(rfc3339: "2026-03-18T09:23:11Z")))
  }

  func logger(_ service: String = "payment-processor", label: String = "test", level: Logger.Level = .info) -> Logger {
    Logger(label: label) { JSONLogHandler(label: $0, service: service, level: level, clock: clock, output: output) }
  }

  @Test("The golden line: a failed payment has every field of the brief with its type, and its bytes never change")
  func goldenLine() throws {
    logger().info(
      "payment.failed",
      metadata: [
        "user_id": "123", "payment_id": "PAY-456", "reason": "insufficient_funds",
        "amount": .stringConvertible(Amount(minorUnits: 10_000, currency: gbp)),
      ])
    #expect(
      output.lines == [
        #"{"event":"payment.failed","timestamp":"2026-03-18T09:23:11Z","level":"info","service":"payment-processor","#
          + #""user_id":"123","payment_id":"PAY-456","reason":"insufficient_funds","amount":100.00,"currency":"GBP"}"#
      ])
    let brief =
      #"{"event":"payment.failed","user_id":"123","payment_id":"PAY-456","reason":"insufficient_funds","amount":100.00,"currency":"GBP","timestamp":"2026-03-18T09:23:11Z","service":"payment-processor"}"#
    var ours = try object(0)
    #expect(ours.removeValue(forKey: "level") as? String == "info")
    let wanted = try #require(try JSONSerialization.jsonObject(with: Data(brief.utf8)) as? NSDictionary)
    #expect((ours as NSDictionary) == wanted)
  }

  @Test("The trace of the task stands in every line")
  func traceIdentity() throws {
    var context = ServiceContext.topLevel
    context.traceContext = TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    ServiceContext.withValue(context) { logger().info("payment.completed") }
    #expect(try object(0)["trace_id"] as? String == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(try object(0)["span_id"] as? String == "00f067aa0ba902b7")
    logger().info("payment.completed")
    #expect(try object(1)["trace_id"] == nil)
  }

  @Test("Numbers and booleans stay what they are, other values are text")
  func types() throws {
    logger().info(
      "test.types",
      metadata: [
        "int": .stringConvertible(-5), "big": .stringConvertible(UInt64.max), "small": .stringConvertible(UInt8(7)),
        "yes": .stringConvertible(true), "ratio": .stringConvertible(0.5), "nan": .stringConvertible(Double.nan), "text": "5",
        "list": [.stringConvertible(1), "two"], "map": ["a": .stringConvertible(false), "b": ["c"]],
      ])
    #expect(
      output.lines == [
        #"{"event":"test.types","timestamp":"2026-03-18T09:23:11Z","level":"info","service":"payment-processor","big":18446744073709551615,"#
          + #""int":-5,"list":[1,"two"],"map":{"a":false,"b":["c"]},"nan":"nan","ratio":0.5,"small":7,"text":"5","yes":true}"#
      ])
  }

  @Test("Amounts have their currency's decimals and no second currency")
  func amounts() throws {
    let jpy = try #require(Currency(code: "JPY"))
    logger().info(
      "test.amounts",
      metadata: [
        "amount": .stringConvertible(Amount(minorUnits: -1, currency: gbp)), "currency": "wrong",
        "balance": .stringConvertible(Amount(minorUnits: 1500, currency: jpy)),
        "largest": .stringConvertible(Amount(minorUnits: .max, currency: gbp)),
      ])
    #expect(output.lines[0].contains(#""amount":-0.01,"currency":"GBP","balance":1500,"balance_currency":"JPY""#))
    #expect(output.lines[0].contains(#""largest":92233720368547758.07,"largest_currency":"GBP""#))
    #expect(!output.lines[0].contains("wrong"))
  }

  @Test("A sentence of a library is no event name: it goes under detail")
  func sentences() throws {
    for (index, sentence) in ["Server started and listening on 127.0.0.1:1", "shutdown", "Payment.failed", "a..b", "payment.", ""]
      .enumerated()
    {
      logger(label: "lib.http").warning(Logger.Message(stringLiteral: sentence))
      let line = try object(index)
      #expect(line["event"] as? String == "log.message")
      #expect(line["detail"] as? String == sentence)
      #expect(line["logger"] as? String == "lib.http")
      #expect(line["level"] as? String == "warning")
    }
  }

  @Test("Metadata can't forge the fields that the handler writes")
  func reservedKeys() throws {
    logger().info("test.forged", metadata: ["event": "payment.completed", "service": "ledger", "timestamp": "x", "level": "critical"])
    let line = try object(0)
    #expect(line["event"] as? String == "test.forged")
    #expect(line["service"] as? String == "payment-processor")
    #expect(line["metadata_service"] as? String == "ledger")
    #expect(output.lines[0].components(separatedBy: #""event""#).count == 2)
  }

  @Test("Whatever a value contains, a line is one line of valid JSON with that value in it")
  func escaping() throws {
    let nasty = [
      "quote \" backslash \\ newline \n return \r tab \t nul \0 escape \u{1b} del \u{7f}", "separators \u{2028}\u{2029}", "😀 é ß 漢字",
      "\u{202e}", String(repeating: "\"", count: 4096),
    ]
    for (index, text) in nasty.enumerated() {
      logger().info("test.escaping", metadata: ["value": .string(text), "key \" \n \(index)": "x"])
      #expect(!output.lines[index].contains("\n"))
      #expect(output.lines[index].unicodeScalars.allSatisfy { $0.value >= 0x20 })
      #expect(try object(index)["value"] as? String == text)
    }
  }

  @Test("A value beyond the limit is cut, however deep or long it is")
  func bounds() throws {
    var deep: Logger.MetadataValue = "end"
    for _ in 0..<100 { deep = [deep] }
    logger().info("test.bounds", metadata: ["long": .string(String(repeating: "x", count: 1_000_000)), "deep": deep])
    #expect(output.lines[0].utf8.count < 5000)
    #expect(try (object(0)["long"] as? String)?.hasSuffix("…") == true)
  }

  @Test("An error is logged with its type and words")
  func errors() throws {
    logger().error("test.failed", error: AmountError.overflow)
    #expect(try object(0)["error"] as? String == AmountError.overflow.description)
    #expect(try object(0)["error_type"] as? String == "Money.AmountError")
  }

  @Test("A logger's own metadata and provider are in the line, the call's own wins")
  func merging() throws {
    var logger = logger()
    logger[metadataKey: "shard"] = "1"
    logger[metadataKey: "who"] = "logger"
    logger.handler.metadataProvider = Logger.MetadataProvider { ["who": "provider", "where": "here"] }
    logger.info("test.merge")
    logger.info("test.merge", metadata: ["who": "call"])
    #expect(try object(0)["who"] as? String == "provider")
    #expect(try object(1)["who"] as? String == "call")
    #expect(try object(1)["shard"] as? String == "1")
    #expect(try object(1)["where"] as? String == "here")
  }

  @Test("Lines below the level are not written")
  func levels() {
    logger(level: .warning).info("test.quiet")
    logger(level: .warning).warning("test.loud")
    #expect(output.lines.count == 1)
  }

  func object(_ index: Int) throws -> [String: Any] {
    let line = try #require(output.lines.indices.contains(index) ? output.lines[index] : nil)
    return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }
}
