/// Writes a service's method descriptors, its client, and the protocol that its server implements.
struct ServiceEmitter {
  let types: TypeTable
  let namespace: String

  func emit(_ service: ProtoService, into out: inout SwiftWriter) {
    out.block("extension \(namespace)") { out in
      descriptors(service, into: &out)
      out.line()
      client(service, into: &out)
      out.line()
      server(service, into: &out)
    }
    out.line()
    out.block("extension \(namespace).\(service.name)Service") { out in
      out.line("/// One entry for each method, for a server to register.")
      out.block("public var methods: [RPCMethod]") { out in
        out.line("[")
        for method in service.methods {
          let name = Naming.identifier(Naming.methodName(method.name))
          out.line("  RPCMethod(\(namespace).\(service.name)Methods.\(name), answering: { request, context in")
          out.line("    try await self.\(name)(request, context: context)")
          out.line("  }),")
        }
        out.line("]")
      }
    }
  }

  private func descriptors(_ service: ProtoService, into out: inout SwiftWriter) {
    out.line("/// The methods of `\(service.fullName)`, as its schema describes them.")
    out.block("public enum \(service.name)Methods") { out in
      for method in service.methods {
        let level =
          switch method.idempotency {
          case .unknown: "unknown"
          case .noSideEffects: "noSideEffects"
          case .idempotent: "idempotent"
          }
        out.documentation(method.comment)
        out.line(
          "public static let \(Naming.identifier(Naming.methodName(method.name))) = "
            + "MethodDescriptor(path: \"\(service.fullName)/\(method.name)\", idempotency: .\(level))")
      }
      let names = service.methods.map { Naming.identifier(Naming.methodName($0.name)) }
      out.line()
      out.line("/// All of them, in the order of the schema.")
      out.line("public static let all: [MethodDescriptor] = [\(names.joined(separator: ", "))]")
    }
  }

  private func client(_ service: ProtoService, into out: inout SwiftWriter) {
    out.documentation(service.comment, default: "Calls `\(service.fullName)` through a channel.")
    out.block("public struct \(service.name)Client: Sendable") { out in
      out.line("private let channel: any RPCChannel")
      out.line()
      out.line("public init(_ channel: any RPCChannel) { self.channel = channel }")
      for method in service.methods {
        let name = Naming.methodName(method.name)
        let request = "_ request: \(types.swiftName(method.input)), options: CallOptions = CallOptions()"
        let response = types.swiftName(method.output)
        out.line()
        out.documentation(method.comment)
        out.block("public func \(Naming.identifier(name))(\(request)) async throws(RPCError) -> \(response)") { out in
          out.line("try await \(name)Reply(request, options: options).message")
        }
        out.line()
        out.line("/// Like `\(name)`, with the bytes and the trailers of the answer.")
        out.block("public func \(name)Reply(\(request)) async throws(RPCError) -> DecodedReply<\(response)>") { out in
          let descriptor = "\(namespace).\(service.name)Methods.\(Naming.identifier(name))"
          out.line("try await channel.unary(\(descriptor), request, as: \(response).self, options: options)")
        }
      }
    }
  }

  private func server(_ service: ProtoService, into out: inout SwiftWriter) {
    out.documentation(service.comment, default: "What answers calls of `\(service.fullName)`.")
    out.block("public protocol \(service.name)Service: Sendable") { out in
      for method in service.methods {
        out.documentation(method.comment)
        let parameters = "_ request: \(types.swiftName(method.input)), context: CallContext"
        out.line(
          "func \(Naming.identifier(Naming.methodName(method.name)))(\(parameters)) async throws -> "
            + "RPCResponse<\(types.swiftName(method.output))>")
      }
    }
  }
}
