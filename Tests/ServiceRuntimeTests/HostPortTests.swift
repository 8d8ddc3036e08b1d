import ServiceRuntime
import Testing

@Suite("Addresses")
struct HostPortTests {
  @Test(
    "host:port is read and written",
    arguments: [
      ("127.0.0.1:7101", "127.0.0.1", 7101), ("localhost:0", "localhost", 0), ("[::1]:65535", "::1", 65_535),
      ("ledger.internal:80", "ledger.internal", 80),
    ])
  func valid(text: String, host: String, port: Int) throws {
    let address = try #require(HostPort(text))
    #expect(address.host == host)
    #expect(address.port == port)
    #expect(address.description == text)
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", ":", "7101", ":7101", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:7 1", "::1:7101",
      "[]:1", "[127.0.0.1]:1", "a b:1", "a/b:1", "host:99999999999999999999",
    ])
  func invalid(text: String) { #expect(HostPort(text) == nil) }

  @Test("Loopback is what only this machine can reach")
  func loopback() {
    for text in ["127.0.0.1:1", "127.255.0.3:1", "localhost:1", "[::1]:1"] { #expect(HostPort(text)?.isLoopback == true) }
    for text in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.0.0.1.evil.example:1", "128.0.0.1:1", "127.0.0:1", "example.org:1"] {
      #expect(HostPort(text)?.isLoopback == false)
    }
  }
}
