/// What one message may cost while it is decoded.
public struct DecodingLimits: Sendable, Hashable {
  /// How many messages may stand one inside the other, the outermost not counted. Protobuf's customary 100.
  public var nesting: Int
  /// Bytes of memory that unpacking may take, in all. Small fields take many times their bytes on the wire.
  public var arenaBytes: Int

  public init(nesting: Int = 100, arenaBytes: Int = 64 << 20) {
    self.nesting = nesting
    self.arenaBytes = arenaBytes
  }

  /// 100 deep, 64 MiB.
  public static let `default` = DecodingLimits()
}
