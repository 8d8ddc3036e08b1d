import MeshProtocol

/// Hands calls straight to a service's methods, in place of the mesh, as the peer it is told.
struct DirectChannel: RPCChannel {
  var methods: [RPCMethod]
  var peer = "payment"

  func unary(_ method: MethodDescriptor, _ request: [UInt8], options: CallOptions) async throws(RPCError) -> RPCReply {
    guard let target = methods.first(where: { $0.descriptor.path == method.path }) else { throw RPCError(.unimplemented, method.path) }
    let context = CallContext(
      peer: SPIFFEID(trustDomain: "florin.local", path: peer), method: method.path, metadata: options.metadata,
      idempotencyKey: options.idempotencyKey)
    do { return try await target.handle(request, context) } catch let error as RPCError { throw error } catch {
      // A real server says nothing more either; here the test should see what it was.
      throw RPCError(.unknown, "\(error)")
    }
  }
}
