extension Frame.Status {
  /// The same, made to fit into what the peer takes: a message cut at 2 KiB, details left out if there is no room for them.
  ///
  /// Trailers are never cut in silence: too many are an error of the handler's, and the caller is told so.
  package func fitted(to peer: ConnectionLimits) -> Frame.Status {
    var fitted = self
    fitted.message = Self.cleaned(message)
    if let defect = trailers.defect ?? trailersTooLarge(for: peer) {
      fitted = Frame.Status(
        .internal, "the handler's answer could not be sent: \(defect)", origin: .runtime, executed: executed)
    }
    let room = peer.frameBytes - peer.metadataBytes - ConnectionLimits.statusMessageBytes - ConnectionLimits.nameBytes
    let size = details.reduce(0) { $0 + $1.typeURL.utf8.count + $1.value.count + 32 }
    let areClean = details.allSatisfy { !$0.typeURL.utf8.contains(0) }
    if size > room || !areClean { fitted.details = [] }
    return fitted
  }

  private func trailersTooLarge(for peer: ConnectionLimits) -> String? {
    let bytes = trailers.countedBytes
    return bytes <= peer.metadataBytes ? nil : "\(bytes) bytes of trailers, over the peer's limit of \(peer.metadataBytes)"
  }

  /// Without NUL, which protobuf-c's strings cannot hold, and not over the limit.
  private static func cleaned(_ message: String) -> String {
    let limit = ConnectionLimits.statusMessageBytes
    if message.utf8.count <= limit, !message.utf8.contains(0) { return message }
    var kept = ""
    var bytes = 0
    for scalar in message.unicodeScalars where scalar.value != 0 {
      bytes += UTF8.width(scalar)
      guard bytes <= limit else { break }
      kept.unicodeScalars.append(scalar)
    }
    return kept
  }
}
