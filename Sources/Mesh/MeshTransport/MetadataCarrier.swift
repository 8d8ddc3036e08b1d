package import MeshProtocol
internal import Tracing

/// Carries trace context in a call's metadata (W3C Trace Context: the keys are `traceparent` and `tracestate`).
package struct MetadataCarrier: Injector, Extractor {
  package init() {}

  package func inject(_ value: String, forKey key: String, into carrier: inout Metadata) { carrier[key] = value }

  package func extract(key: String, from carrier: Metadata) -> String? { carrier[key] }
}
