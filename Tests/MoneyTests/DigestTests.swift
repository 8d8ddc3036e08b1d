import Digest
import Testing

@Suite("Digests")
struct DigestTests {
  @Test(
    "SHA-256 agrees with the examples of FIPS 180-4",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
    ])
  func sha256(text: String, digest: String) { #expect(hexadecimal(SHA256.hash(text)) == digest) }

  @Test("SHA-256 of a million times a")
  func millionA() {
    let digest = SHA256.hash(repeatElement(UInt8(ascii: "a"), count: 1_000_000))
    #expect(hexadecimal(digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test(
    "SHA-1 agrees with the examples of FIPS 180-4",
    arguments: [
      ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
      ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ])
  func sha1(text: String, digest: String) { #expect(hexadecimal(SHA1.hash(Array(text.utf8))) == digest) }

  @Test("Hexadecimal is lower case with two digits a byte")
  func hex() { #expect(hexadecimal([0, 1, 0x0f, 0x10, 0xab, 0xff]) == "00010f10abff") }
}
