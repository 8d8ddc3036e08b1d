/// What may stand in a certificate that this authority signs.
enum Names {
  static func check(trustDomain: String) throws(AuthorityError) {
    let allowed = trustDomain.utf8.allSatisfy {
      (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || [0x2e, 0x2d, 0x5f].contains($0)
    }
    guard !trustDomain.isEmpty, trustDomain.utf8.count <= 255, allowed else {
      throw AuthorityError(
        .invalidRequest, "\"\(trustDomain)\" is not a trust domain",
        remedy: "Use at most 255 lower-case letters, digits, dots, hyphens and underscores, as in florin.local.")
    }
  }

  /// One segment, or "operator/NAME". The name becomes a directory, a common name (64 characters at most) and a SPIFFE path.
  static func check(leaf name: String) throws(AuthorityError) {
    let segments = name.split(separator: "/", omittingEmptySubsequences: false)
    let sound = segments.allSatisfy { segment in
      !segment.isEmpty && !segment.hasPrefix(".")
        && segment.utf8.allSatisfy {
          (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || [0x2e, 0x2d, 0x5f].contains($0)
        }
    }
    let shape = segments.count == 1 ? segments[0] != "operator" : segments.count == 2 && segments[0] == "operator"
    guard sound, shape, name.utf8.count <= 64 else {
      throw AuthorityError(
        .invalidRequest, "\"\(name)\" cannot be the name of a leaf",
        remedy: "Use at most 64 letters, digits, dots, hyphens and underscores: a service's name, or operator/NAME.")
    }
  }

  static func check(lifetime: Duration) throws(AuthorityError) {
    guard lifetime >= .seconds(1), lifetime <= .seconds(90 * 86_400) else {
      throw AuthorityError(
        .invalidRequest, "A leaf cannot live for \(lifetime)", remedy: "Choose between 1 second and 90 days; a day is usual.")
    }
  }
}
