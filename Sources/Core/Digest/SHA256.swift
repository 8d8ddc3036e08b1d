internal import COpenSSL

/// SHA-256 (FIPS 180-4) over bytes in memory, and incrementally.
public enum SHA256 {
  /// 32 bytes.
  public static func hash(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    EVPDigest.digest(EVP_sha256(), 32, Array(bytes))
  }

  public static func hash(_ text: String) -> [UInt8] { hash(Array(text.utf8)) }
}

/// SHA-1 (FIPS 180-4). Only for name-based UUIDs (RFC 9562, version 5), where no resistance to collisions is needed.
public enum SHA1 {
  /// 20 bytes.
  public static func hash(_ bytes: [UInt8]) -> [UInt8] { EVPDigest.digest(EVP_sha1(), 20, bytes) }
}

private enum EVPDigest {
  static func digest(_ algorithm: OpaquePointer?, _ size: Int, _ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { out, count in
      var written: UInt32 = 0
      let ok = bytes.withUnsafeBytes { EVP_Digest($0.baseAddress, $0.count, out.baseAddress, &written, algorithm, nil) }
      // EVP_Digest fails only if the algorithm is not in the loaded provider: such an OpenSSL cannot run Florin at all.
      precondition(ok == 1 && Int(written) == size, "this OpenSSL has no SHA-1 or SHA-256")
      count = size
    }
  }
}

/// Lower-case hexadecimal.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var out: [UInt8] = []
  for byte in bytes {
    out.append(digits[Int(byte >> 4)])
    out.append(digits[Int(byte & 15)])
  }
  return String(decoding: out, as: UTF8.self)
}
