internal import Digest
internal import Money

/// Makes an account's id: "ACC" and 12 characters of Crockford's base 32 (no I, L, O, U), which are the first 60 bits of SHA-256
/// over who asked and the idempotency key. The same key of the same caller always names the same account.
enum AccountNumber {
  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

  static func make(caller: String, key: IdempotencyKey) -> AccountID {
    // The key has a fixed length, so that no other pair makes the same bytes.
    let digest = SHA256.hash(key.uuid.bytes + Array(caller.utf8))
    let bits = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let name = (0..<12).map { alphabet[Int(bits >> (59 - 5 * UInt64($0)) & 31)] }
    guard let id = AccountID("ACC" + String(name)) else { preconditionFailure("letters and digits make an account id") }
    return id
  }
}
