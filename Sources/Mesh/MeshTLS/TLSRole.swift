internal import COpenSSL

/// Which end of a connection.
public enum TLSRole: String, Sendable, Hashable, CaseIterable {
  case client, server

  package var opposite: TLSRole { self == .client ? .server : .client }

  /// The extended key usage that a leaf needs at this end (RFC 5280, 4.2.1.12).
  var requiredUsage: UInt32 { UInt32(self == .client ? XKU_SSL_CLIENT : XKU_SSL_SERVER) }
  var usageName: String { self == .client ? "clientAuth" : "serverAuth" }
  var purpose: Int32 { self == .client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER }
}
