/// A message on its way in, DATA by DATA. Never holds more than its limit.
struct MessageAssembly: Sendable {
  enum Progress: Sendable, Hashable {
    case incomplete
    case complete([UInt8])
    case tooLarge
  }

  private let limitBytes: Int
  private var bytes: [UInt8] = []

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  var isEmpty: Bool { bytes.isEmpty }

  mutating func chunkReceived(_ chunk: Frame.Chunk) -> Progress {
    guard chunk.body.count <= limitBytes - bytes.count else {
      bytes = []
      return .tooLarge
    }
    if chunk.endOfMessage, bytes.isEmpty { return .complete(Array(chunk.body)) }  // the usual case: nothing is copied
    bytes.append(contentsOf: chunk.body)
    guard chunk.endOfMessage else { return .incomplete }
    defer { bytes = [] }
    return .complete(bytes)
  }
}
