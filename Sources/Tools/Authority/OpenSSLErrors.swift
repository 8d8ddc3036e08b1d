internal import COpenSSL

enum OpenSSLErrors {
  /// What OpenSSL has to say about the last failure on this thread; empties its queue.
  static func drain() -> String {
    var texts: [String] = []
    while true {
      let code = ERR_get_error()
      if code == 0 { break }
      var buffer = [CChar](repeating: 0, count: 256)
      ERR_error_string_n(code, &buffer, buffer.count)
      texts.append(String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    return texts.isEmpty ? "no reason given" : texts.joined(separator: "; ")
  }

  static func failure(_ what: String) -> AuthorityError {
    AuthorityError(.cryptography, "\(what) (OpenSSL: \(drain()))", remedy: "Check that OpenSSL 3 is installed whole: `openssl version`.")
  }
}
